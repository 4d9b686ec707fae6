"""`twistd mcptunnel-relay`. Nothing else is imported here, so `twistd --help` stays quick."""

from twisted.application.service import ServiceMaker

relay = ServiceMaker(
    name="mcptunnel relay",
    module="mcptunnel.relay.tap",
    description="The public end of a tunnel to MCP servers.",
    tapname="mcptunnel-relay",
)
