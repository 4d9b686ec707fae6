"""`twistd mcptunnel-agent`. Nothing else is imported here, so `twistd --help` stays quick."""

from twisted.application.service import ServiceMaker

agent = ServiceMaker(
    name="mcptunnel agent",
    module="mcptunnel.agent.tap",
    description="The end of a tunnel that keeps your local MCP servers running.",
    tapname="mcptunnel-agent",
)
