"""A small persistent HTTP/1.1 client for local servers, strict about framing.

No cookies, no redirects, no content codings: what the server sends is what the receiver gets.
"""

from mcptunnel.net.http1.call import Call, RequestFailed, ResponseReceiver
from mcptunnel.net.http1.client import Client
from mcptunnel.net.http1.parser import ResponseError
from mcptunnel.net.http1.request import RequestError
from mcptunnel.net.http1.upload import Upload

__all__ = [
    "Call",
    "Client",
    "RequestError",
    "RequestFailed",
    "ResponseError",
    "ResponseReceiver",
    "Upload",
]
