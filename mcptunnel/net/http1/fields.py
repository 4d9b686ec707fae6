"""The grammar of HTTP/1.1 that requests and responses share (RFC 9110, section 5; RFC 9112).

Every pattern is possessive: reading is linear whatever the bytes are.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
VALUE = rb"[\t\x20-\x7e\x80-\xff]*+"

FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*+(" + VALUE + rb")\r\n")
FIELDS = re.compile(rb"(?:" + TOKEN + rb":" + VALUE + rb"\r\n)*+")
"""A whole block of field lines: no folding, no bare CR or LF, no space before the colon."""
