# ticket-gateway as an image. Nothing happens here that these two pip commands in a clean venv would not do.

FROM python:3.13-slim AS build
WORKDIR /src
COPY lock/run.txt lock/run.txt
RUN python -m venv /opt/ticket-gateway \
 && /opt/ticket-gateway/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r lock/run.txt
COPY pyproject.toml README.md LICENSE routes.yaml ./
COPY templates templates
COPY deploy/ticket-gateway-notify deploy/ticket-gateway-notify
COPY deploy/ticket-gateway-pipe deploy/ticket-gateway-pipe
COPY gateway gateway
RUN /opt/ticket-gateway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN groupadd --system --gid 8025 ticket-gateway \
 && useradd --system --uid 8025 --gid 8025 --home-dir /var/lib/ticket-gateway --shell /usr/sbin/nologin ticket-gateway \
 && install -d -o 8025 -g 8025 -m 0750 /var/lib/ticket-gateway \
 && install -d -m 0755 /etc/ticket-gateway
COPY --from=build /opt/ticket-gateway /opt/ticket-gateway
ENV PATH=/opt/ticket-gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TICKET_GATEWAY_CONFIG=/etc/ticket-gateway/routes.yaml \
    HEALTH_URL=http://127.0.0.1:8025/healthz
USER 8025:8025
WORKDIR /var/lib/ticket-gateway
VOLUME /var/lib/ticket-gateway
EXPOSE 8025
# With `tls` in routes.yaml set HEALTH_URL to https://...; the certificate need not name 127.0.0.1.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, ssl, urllib.request as u; u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=ssl._create_unverified_context())).open(os.environ['HEALTH_URL'], timeout=4)"]
# A stop finishes calls in flight, for at most 25 s: give it time with `docker stop --time 45`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["ticket-gateway"]
CMD ["serve", "--config", "/etc/ticket-gateway/routes.yaml"]
