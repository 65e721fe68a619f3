# The connector with nothing but Python: built in one stage, run in another, as a user without rights.
#
#   docker build -t connector .
#   docker run -v connector-data:/data -v ./config.yaml:/etc/connector/config.yaml:ro \
#     -e CLOVER_TOKEN_FILE=/run/secrets/clover_token connector schedule
#
# config.yaml must say `store: /data`. The volume must be on a local disk, not on NFS.
#
# Every package is checked against its hash. The base image is named by tag: no registry could be reached where this was
# written, and a digest nobody has looked up would be invented. Pin it where you build, and the same bytes are used again:
#
#   digest=$(docker buildx imagetools inspect python:3.11-slim-bookworm --format '{{.Manifest.Digest}}')
#   docker build --build-arg PYTHON=python:3.11-slim-bookworm@$digest -t connector .

ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml requirements.hashes README.md ./
COPY connector connector
COPY transforms transforms
COPY schemas schemas
COPY config.example.yaml ./
RUN python -m venv /opt/connector \
 && /opt/connector/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.hashes \
 && /opt/connector/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
 && /opt/connector/bin/python -m compileall -q /opt/connector/lib

FROM ${PYTHON}
LABEL org.opencontainers.image.title="connector" \
      org.opencontainers.image.description="Clover Ecommerce sales in Codat's commerce schema, in DuckDB"
RUN groupadd --system --gid 10001 connector \
 && useradd --system --uid 10001 --gid connector --home-dir /data --shell /usr/sbin/nologin connector \
 && install -d -m 0700 -o connector -g connector /data /backups
COPY --from=build /opt/connector /opt/connector
ENV PATH=/opt/connector/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONNECTOR_CONFIG=/etc/connector/config.yaml \
    CONNECTOR_MAX_AGE=6h
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/backups"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Unhealthy when a company has had no success for longer than CONNECTOR_MAX_AGE. The start period covers a first sync.
HEALTHCHECK --interval=5m --timeout=30s --start-period=6h --retries=2 \
  CMD connector status --max-age "$CONNECTOR_MAX_AGE" > /dev/null
ENTRYPOINT ["connector"]
CMD ["schedule"]
