"""The same address: URLs in one spelling.

Two pages of one canonical URL count as copies without a look at their texts, so only differences that cannot change
the page are removed. What stays, on purpose: the order of parameters (servers read lists and repeated names in order),
`www.`, http beside https, and a slash at the end of a path (`/a` and `/a/` may be two pages; where they are one, the
texts are copies too).
"""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>https?)://(?P<place>[^/?#\\]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", re.I | re.S)
_PLACE = re.compile(r"(?P<user>.*@)?(?P<host>\[[^\[\]@]*\]|[^@:]*)(?::(?P<port>[0-9]*))?", re.S)
_DEFAULT_PORT = {"http": "80", "https": "443"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Parameters that say by which way a reader came: Google Analytics, advertising and mail clicks, Alibaba's spm and
#: scm, Matomo, WeChat. Compared in lower case.
TRACKING = _words(
    "spm scm fbclid gclid gclsrc dclid wbraid gbraid msclkid yclid igshid mc_cid mc_eid _ga _gl _hsenc _hsmi "
    "isappinstalled share_token share_source sharer_sharetime sharer_shareid hmsr hmpl hmcu hmkw hmci"
)
_TRACKING_STARTS = ("utm_", "pk_", "mtm_")
#: Values of `from` that name a way of sharing. With other values it may say what the page shows (`from=usd`).
SHARED_FROM = _words(
    "timeline singlemessage groupmessage appmessage message weixin wechat qq androidqq qzone weibo share"
)
#: Parameters that carry a visitor's session.
SESSION = _words("phpsessid jsessionid aspsessionid cfid cftoken")
_SESSION_STARTS = ("aspsessionid",)
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/;]*|/\(S\([0-9a-z]{24}\)\)(?=/|$)", re.I)

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})|%|[^!$&-;=@A-Z_a-z~]")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_HOST = re.compile(r"[a-z0-9._-]+")
#: A host name has at most 253 letters (RFC 1035); a longer one is not looked up as an international name.
_MAX_HOST = 253


def canonical(url: str) -> str:
    """The one spelling of a URL; empty where it is no http or https URL with a host.

    Lower-case scheme and host, international hosts in their ASCII form (IDNA 2003, whose tables do not change), no
    default port, no dot at the host's end, no fragment; path without dot segments, session ids and needless
    percent-escapes, "/" where empty; query without `TRACKING`, `SESSION` and shared `from` parameters, in its order.

    Args:
        url: any string, whoever wrote it. Never raises.

    Returns:
        A string of ASCII characters that `canonical` gives back unchanged, or "".
    """
    found = _URL.match(re.sub(r"[\t\r\n]", "", url.strip(_BLANK)))
    if found is None:
        return ""
    scheme = found["scheme"].lower()
    place = _place(scheme, found["place"])
    if not place:
        return ""
    path = _without_dots(_SESSION_IN_PATH.sub("", _escaped(found["path"].replace("\\", "/"))))
    query = "&".join(part for part in _escaped(found["query"] or "").split("&") if part and not _is_noise(part))
    return f"{scheme}://{place}{path}" + (f"?{query}" if query else "")


#: What browsers cut off both ends (WHATWG URL Standard, section 4.4).
_BLANK = "".join(map(chr, range(0x21)))


def _place(scheme: str, place: str) -> str:
    """User, host and port; empty where there is no host."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return _escaped(place).lower()
    host = _host(found["host"])
    if not host:
        return ""
    port = (found["port"] or "").lstrip("0")
    user = _escaped(found["user"] or "")
    return user + host + (f":{port}" if port and port != _DEFAULT_PORT[scheme] else "")


def _host(host: str) -> str:
    if not host.isascii() and len(host) <= _MAX_HOST:
        try:
            ascii_host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            ascii_host = ""
        # A compatibility character may hide a slash or an at sign, which would make another URL of it.
        if _HOST.fullmatch(ascii_host):
            return ascii_host.rstrip(".")
    return _escaped(host).lower().rstrip(".")


def _escaped(text: str) -> str:
    """Percent-escapes in one spelling: none for unreserved characters, capital digits for the others; all that may
    not stand in a URL is escaped, a stray percent sign too (RFC 3986, section 6.2.2)."""
    return _ESCAPE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    if found[1] is not None:
        character = chr(int(found[1], 16))
        return character if _UNRESERVED.fullmatch(character) else f"%{found[1].upper()}"
    if found[0] in "[]?":
        return found[0]
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))


def _without_dots(path: str) -> str:
    """The path with `.` and `..` gone along (RFC 3986, section 5.2.4), starting with a slash."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for i, segment in enumerate(segments):
        last = i == len(segments) - 1
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
            continue
        if last:
            kept.append("")
    return "/" + "/".join(kept)


def _is_noise(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    name = name.lower()
    if name == "from":
        return value.lower() in SHARED_FROM
    return name in TRACKING or name in SESSION or name.startswith(_TRACKING_STARTS + _SESSION_STARTS)
