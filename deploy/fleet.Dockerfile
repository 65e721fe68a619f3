# The image of a fleet: that of the connector with the extra [fleet], every package checked against its hash.
#
#   docker build -t connector:0.1.0 .
#   docker build -t connector-fleet:0.1.0 -f deploy/fleet.Dockerfile .
ARG CONNECTOR=connector:0.1.0
FROM ${CONNECTOR}
USER root
COPY requirements-fleet.hashes /tmp/
RUN /opt/connector/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements-fleet.hashes \
 && rm /tmp/requirements-fleet.hashes
USER 10001:10001
