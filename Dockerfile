# The edge in a container, without root. docs/containers.md has every command, tried:
#
#   docker build -t ds-edge .
#   docker run -p 8080:8080 -v streams:/var/lib/ds-edge ds-edge
#   docker run -p 8080:8080 -e DS_EDGE_ORIGIN__URL=http://origin:4437 ds-edge
#
# The first run is a whole service, its streams in a volume; the second an edge alone.

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/ds-edge
# What traces need is in it (10 MB; imported where tracing.endpoint is set, nowhere else).
# Without: docker build --build-arg LOCK=run .
ARG LOCK=otel
COPY requirements/build.lock requirements/otel.lock requirements/run.lock requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.lock \
 && /opt/ds-edge/bin/pip install --no-cache-dir --require-hashes -r "requirements/$LOCK.lock"
COPY pyproject.toml README.md LICENSE ./
COPY config/edge.yaml config/
COPY docs/dashboard.html docs/edge.schema.json docs/follow.html docs/
COPY deploy deploy
COPY edge edge
COPY origin_adapter origin_adapter
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/ds-edge/bin/pip install --no-cache-dir --no-deps dist/*.whl \
 && /opt/ds-edge/bin/pip check

FROM python:3.13-slim
# docker build --build-arg VERSION=... --build-arg REVISION=$(git rev-parse HEAD) .
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="durable-streams-edge" \
      org.opencontainers.image.description="A CDN-style edge cache proxy for the Durable Streams protocol" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ds-edge \
 && install -d -m 700 -o ds-edge /var/lib/ds-edge
COPY --from=build /opt/ds-edge /opt/ds-edge
COPY config/edge.yaml /etc/ds-edge/edge.yaml
ENV PATH=/opt/ds-edge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DS_EDGE_CONFIG=/etc/ds-edge/edge.yaml \
    DS_EDGE_LISTEN=:8080
# The embedded origin's folder is relative to this one. It is no variable here: one that
# names an origin elsewhere would contradict it.
WORKDIR /var/lib/ds-edge
VOLUME /var/lib/ds-edge
USER 10001
EXPOSE 8080
# The operator's address stays inside the container: loopback, port 8081.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["ds-edge", "health"]
ENTRYPOINT ["ds-edge"]
CMD ["serve"]
