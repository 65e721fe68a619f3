# The connector with nothing but Python: built in one stage, run in another, as a user without rights.
#
#   docker build -t connector .
#   docker run -v connector-data:/data -v ./config.yaml:/etc/connector/config.yaml:ro \
#     -e CLOVER_TOKEN_FILE=/run/secrets/clover_token connector schedule
#
# config.yaml must say `store: /data`. The volume must be on a local disk, not on NFS.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml requirements.lock README.md ./
COPY connector connector
COPY transforms transforms
COPY schemas schemas
RUN python -m venv /opt/connector \
 && /opt/connector/bin/pip install --no-cache-dir --disable-pip-version-check -c requirements.lock . \
 && /opt/connector/bin/python -m compileall -q /opt/connector/lib

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="connector" \
      org.opencontainers.image.description="Clover Ecommerce sales in Codat's commerce schema, in DuckDB"
RUN groupadd --system --gid 10001 connector \
 && useradd --system --uid 10001 --gid connector --home-dir /data --shell /usr/sbin/nologin connector \
 && install -d -m 0700 -o connector -g connector /data
COPY --from=build /opt/connector /opt/connector
ENV PATH=/opt/connector/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONNECTOR_CONFIG=/etc/connector/config.yaml \
    CONNECTOR_MAX_AGE=6h
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
# Unhealthy when a company has had no success for longer than CONNECTOR_MAX_AGE. The start period covers a first sync.
HEALTHCHECK --interval=5m --timeout=30s --start-period=6h --retries=2 \
  CMD connector status --max-age "$CONNECTOR_MAX_AGE" > /dev/null
ENTRYPOINT ["connector"]
CMD ["schedule"]
