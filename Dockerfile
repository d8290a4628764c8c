# The server, for `docker build -t holdall .`; docs/server.md says how to run it.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN python -m venv /opt/holdall \
    && /opt/holdall/bin/pip install --no-cache-dir '.[cli,server,redis,postgres,cloud,haystack,yaml]'

FROM python:3.13-slim-bookworm
# /data belongs to whoever serves, and so do volumes that are made for it.
RUN useradd --uid 10001 --home-dir /data --create-home --shell /usr/sbin/nologin holdall
COPY --from=build /opt/holdall /opt/holdall
ENV PATH=/opt/holdall/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOLDALL_DATA=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Without a proxy, whatever the environment says; a server of TLS takes a check of its own.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener as made; made(ProxyHandler({})).open('http://127.0.0.1:8080/health/ready', timeout=5)"]
ENTRYPOINT ["holdall"]
# Without an account nothing listens beyond the container: HOLDALL_ADMIN and HOLDALL_ADMIN_PASSWORD
# make the first one.
CMD ["serve", "--host", "0.0.0.0"]
