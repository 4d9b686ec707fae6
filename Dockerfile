# One image, both roles. The relay is what runs unless another command is given:
#
#   docker run --stop-timeout 40 -p 8787:8787 -v relay-data:/data mcptunnel
#   docker run --stop-timeout 40 -v agent-data:/data mcptunnel mcptunnel-agent --config agent.toml
#
# On SIGTERM calls may finish for drain_s, 30 s unless configured. An image cannot say how long it is given:
# without --stop-timeout (of Compose: stop_grace_period: 40s) Docker ends it after 10 s, in the middle of calls.
#
# In a container the relay must listen on all interfaces (listen = "tcp:8787"): at interface=127.0.0.1
# no published port reaches it. Say who may reach it outside: docker run -p 127.0.0.1:8787:8787 ...
#
# /data is the working directory: it holds relay.toml or agent.toml, and the state.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/mcptunnel \
 && /opt/mcptunnel/bin/pip install --no-cache-dir --disable-pip-version-check ".[postgresql]" \
 # the list of plugins, kept now: the user below may not write it
 && /opt/mcptunnel/bin/twistd --help > /dev/null

FROM python:3.12-slim
COPY --from=build /opt/mcptunnel /opt/mcptunnel
ENV PATH=/opt/mcptunnel/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 10001 mcptunnel && install -d -o mcptunnel -g mcptunnel /data
USER mcptunnel
WORKDIR /data
VOLUME /data
EXPOSE 8787
STOPSIGNAL SIGTERM
ENTRYPOINT ["twistd", "--nodaemon", "--pidfile="]
CMD ["mcptunnel-relay", "--config", "relay.toml"]
