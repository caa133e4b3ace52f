"""HTML around a text, the way Chinese sites of 2003 to 2022 wrote it; one function a site kind.

Bodies may hold, besides paragraphs: `## heading`, `- item`, `| a | b |` table rows, ``` code fences, and in
forum pages `@@ user` before each post.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from itertools import groupby

from samplekit.page import Page
from samplekit.words import WORDS

OLD_COLOURS = ("#CC0000", "#003399", "#006633")


def render(page: Page) -> str:
    """The page as HTML text (not yet encoded). KeyError names an unknown site kind."""
    return SITES[page.site](page)


def _words(page: Page, role: str) -> tuple[str, ...]:
    return WORDS[page.language][role]


def _site_name(page: Page) -> str:
    names = _words(page, "site")
    return names[page.site_number(len(names))]


# --- the body ---------------------------------------------------------------------------------------------------------


def body_html(text: str, paragraph: str = "<p>{}</p>") -> str:
    """Markup of a body: paragraphs, headings, lists, tables and code."""
    pieces = text.split("```")
    return "\n".join(_code(piece) if i % 2 else _flow(piece, paragraph) for i, piece in enumerate(pieces))


def _code(piece: str) -> str:
    language, _, code = piece.partition("\n")
    return f'<pre><code class="language-{escape(language or "text")}">{escape(code)}</code></pre>'


def _flow(piece: str, paragraph: str) -> str:
    lines = [line for line in piece.split("\n") if line.strip()]
    return "\n".join(_lines(mark, list(group), paragraph) for mark, group in groupby(lines, _mark))


def _mark(line: str) -> str:
    return next((mark for mark in ("## ", "- ", "|") if line.startswith(mark)), "")


def _lines(mark: str, lines: list[str], paragraph: str) -> str:
    if mark == "## ":
        return "\n".join(f"<h2>{escape(line[3:])}</h2>" for line in lines)
    if mark == "- ":
        return "<ul>" + "".join(f"<li>{escape(line[2:])}</li>" for line in lines) + "</ul>"
    if mark == "|":
        rows = [line.strip("| ").split("|") for line in lines if not line.startswith("|--")]
        cells = ["".join(f"<td>{escape(cell.strip())}</td>" for cell in row) for row in rows]
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
    return "\n".join(paragraph.format(escape(line)) for line in lines)


# --- the parts around it ----------------------------------------------------------------------------------------------


def _meta_charset(page: Page) -> str:
    name = page.meta_charset or page.charset
    if name == "none":
        return ""
    if page.date < "2012":
        return f'<meta http-equiv="Content-Type" content="text/html; charset={name}">\n'
    return f'<meta charset="{name}">\n'


def _head(page: Page, extra: str = "") -> str:
    title = escape(f"{page.title}_{_site_name(page)}")
    keywords = escape(page.title[:12])
    return (
        f"<head>\n{_meta_charset(page)}<title>{title}</title>\n"
        f'<meta name="keywords" content="{keywords},{_site_name(page)}">\n'
        f'<meta name="description" content="{escape(page.paragraphs[0][:60] if page.paragraphs else "")}">\n'
        f'<link rel="stylesheet" href="/css/main.css">\n<script src="/js/jquery.min.js"></script>\n{extra}</head>\n'
    )


def _json_ld(page: Page) -> str:
    data = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": page.title,
        "datePublished": page.date,
    }
    return f'<script type="application/ld+json">{json.dumps(data)}</script>\n'


def _meta_date(page: Page) -> str:
    return f'<meta property="article:published_time" content="{page.date}T09:30:00+08:00">\n'


def _nav(page: Page) -> str:
    items = "".join(f'<li><a href="/c{i}/">{escape(word)}</a></li>' for i, word in enumerate(_words(page, "nav")))
    return f'<div class="nav"><ul>{items}</ul></div>\n'


def _crumbs(page: Page) -> str:
    here, nav = _words(page, "here"), _words(page, "nav")
    return f'<div class="crumb">{here[0]}<a href="/">{nav[0]}</a> &gt; <a href="/c1/">{nav[1]}</a> &gt; </div>\n'


def _share(page: Page) -> str:
    head, *targets = _words(page, "share")
    links = " ".join(f'<a href="javascript:void(0)">{escape(word)}</a>' for word in targets)
    return f'<div class="share">{head} {links}</div>\n'


def _related(page: Page, which: int = 0, count: int = 6) -> str:
    links = _words(page, "links")
    first = page.number(len(links), f"related{which}")
    chosen = [links[(first + i) % len(links)] for i in range(min(count, len(links)))]
    items = "".join(f'<li><a href="/a/{i}{first}.html">{escape(text)}</a></li>' for i, text in enumerate(chosen))
    return f'<div class="box"><h3>{_words(page, "related")[which]}</h3><ul>{items}</ul></div>\n'


def _comment_form(page: Page) -> str:
    post, name, captcha, again, send, civil = _words(page, "comment")
    return (
        f'<form class="comment" action="/comment" method="post"><h4>{post}</h4><p>{civil}</p>'
        f'<label>{name}<input name="n"></label><textarea name="c"></textarea>'
        f'<label>{captcha}<input name="v"></label><a href="#">{again}</a><button>{send}</button></form>\n'
    )


def _footer(page: Page) -> str:
    links = " | ".join(f'<a href="/about/{i}">{word}</a>' for i, word in enumerate(_words(page, "footer")))
    rights = "<br>".join(_words(page, "copyright"))
    name = _site_name(page)
    return f'<div class="footer"><p>{links}</p><p>Copyright &copy; {page.date[:4]} {name} {rights}</p></div>\n'


def _byline(page: Page) -> str:
    source, _, editor, size, views = _words(page, "byline")
    return (
        f'<div class="info"><span class="date">{page.date} 09:{page.number(60, "minute"):02d}</span> '
        f"<span>{source}{_site_name(page)}</span> <span>{editor}ab{page.number(90, 'editor')}</span> "
        f"<span>{size}</span> <span>{views}{page.number(9000, 'views')}</span></div>\n"
    )


# --- the kinds of site ------------------------------------------------------------------------------------------------


def news(page: Page) -> str:
    """A news article of 2012 and later: breadcrumb, byline, share bar, two boxes of links, comment form."""
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}">\n{_head(page, _json_ld(page) + _meta_date(page))}<body>\n'
        f'<header><div class="logo">{_site_name(page)}</div>{_nav(page)}</header>\n<div class="wrap">{_crumbs(page)}'
        f'<div class="main"><h1>{escape(page.title)}</h1>\n{_byline(page)}<div class="article-content" id="content">\n'
        f"{body_html(page.body)}\n</div>\n{_share(page)}{_comment_form(page)}</div>\n"
        f'<aside class="side">{_related(page)}{_related(page, 1)}</aside></div>\n{_footer(page)}</body>\n</html>\n'
    )


def forum(page: Page) -> str:
    """A Discuz-like thread: each `@@ user` of the body is one post with the user's box beside it."""
    words = _words(page, "forum")
    posts = "".join(_post(page, words, i, post) for i, post in enumerate(_posts(page.body)))
    return (
        f'<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN">\n<html>\n{_head(page)}<body id="nv_forum">\n'
        f"{_nav(page)}{_crumbs(page)}"
        f'<div id="postlist"><h1 class="ts"><a href="#" id="thread_subject">{escape(page.title)}</a></h1>\n'
        f"{posts}</div>\n"
        f'<div class="pg"><strong>1</strong><a href="?page=2">2</a><a href="?page=2">{words[10]}</a></div>\n'
        f"{_comment_form(page)}{_footer(page)}</body>\n</html>\n"
    )


def _posts(body: str) -> list[str]:
    """Each post with its author's name in the first line. What stands before the first `@@` is the opening post."""
    opening, *replies = re.split(r"^@@ ", body, flags=re.MULTILINE)
    return [f"楼主\n{opening}", *replies] if opening.strip() else replies


def _post(page: Page, words: tuple[str, ...], i: int, post: str) -> str:
    user, _, text = post.partition("\n")
    points = page.number(5000, f"points{i}")
    floor = words[i] if i < 3 else f"{i + 1}#"
    return (
        f'<table class="plhin" id="pid{i}"><tr><td class="pls"><div class="authi">{escape(user)}</div>'
        f"<dl><dt>{words[8]}</dt><dd>{points}</dd><dt>{words[9]}</dt><dd>2009-3-{1 + i}</dd></dl></td>\n"
        f'<td class="plc"><div class="pi"><strong>{floor}</strong> <em>{words[3]} {page.date} 1{i % 10}:20</em> '
        f'<a href="#">{words[6]}</a></div>\n<div class="t_f" id="postmessage_{i}">{body_html(text, "{}<br />")}</div>\n'
        f'<div class="po"><a href="#">{words[4]}</a> <a href="#">{words[5]}</a> <a href="#">{words[7]}</a></div>'
        f"</td></tr></table>\n"
    )


def blog(page: Page) -> str:
    """A WordPress-like post with tags, a sidebar and an archive list."""
    months = "".join(f'<li><a href="/{page.date[:4]}/{m:02d}">{page.date[:4]}-{m:02d}</a></li>' for m in range(1, 7))
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}">\n{_head(page, _meta_date(page))}<body class="single">\n'
        f'<div id="header"><h2><a href="/">{_site_name(page)}</a></h2>{_nav(page)}</div>\n'
        f'<article class="post"><h1 class="entry-title">{escape(page.title)}</h1>'
        f'<time datetime="{page.date}">{page.date}</time>\n'
        f'<div class="entry-content">\n{body_html(page.body)}\n</div>\n'
        f"{_share(page)}</article>\n"
        f'<div id="sidebar">{_related(page, 2)}<ul class="archive">{months}</ul></div>\n'
        f"{_comment_form(page)}{_footer(page)}</body>\n</html>\n"
    )


def encyclopedia(page: Page) -> str:
    """An encyclopedia entry with a table of contents."""
    heads = [line[3:] for line in page.paragraphs if line.startswith("## ")]
    toc = "".join(f'<li><a href="#h{i}">{i + 1} {escape(head)}</a></li>' for i, head in enumerate(heads))
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}">\n{_head(page)}<body>\n{_nav(page)}'
        f'<div class="lemma"><h1>{escape(page.title)}</h1><div class="toc"><ol>{toc}</ol></div>\n'
        f'<div class="lemma-content">{body_html(page.body, "<div class=para>{}</div>")}</div></div>\n'
        f"{_related(page)}{_footer(page)}</body>\n</html>\n"
    )


def shop(page: Page) -> str:
    """A product page: buttons, a description, recommended goods."""
    cart, buy, details, reviews, ships, home, support = _words(page, "shop")
    goods = "".join(
        f'<li><a href="/item/{n}.html"><img src="/i/{n}.jpg" alt=""></a><b>&yen;{n % 400 + 9}.00</b></li>'
        for n in (page.number(90000, f"goods{i}") for i in range(5))
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}">\n{_head(page)}<body>\n{_nav(page)}'
        f'<div class="store"><a href="/">{home}</a> <a href="#">{support}</a></div>\n'
        f'<div class="item"><h1>{escape(page.title)}</h1><p>{ships}</p>'
        f'<a class="btn">{cart}</a><a class="btn">{buy}</a>'
        f'<div class="tabs"><span>{details}</span><span>{reviews}({page.number(3000, "reviews")})</span></div>\n'
        f'<div class="detail">{body_html(page.body)}</div></div>\n<ul class="goods">{goods}</ul>\n'
        f"{_footer(page)}</body>\n</html>\n"
    )


def portal(page: Page) -> str:
    """A portal's article of about 2008: div soup, <br><br> between paragraphs, links before and after the text."""
    paragraphs = body_html(page.body, "\u3000\u3000{}<br><br>")
    return (
        f'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">\n<HTML>\n{_head(page)}<BODY>\n'
        f'<div id="topbar">{_nav(page)}</div>\n<div id="hot">{_related(page, 1, 9)}</div>\n'
        f'<div id="artibodyTitle"><h1>{escape(page.title)}</h1>{_byline(page)}</div>\n'
        f'<div id="artibody">\n<!-- text begin -->\n{paragraphs}\n<!-- text end -->\n</div>\n'
        f"{_share(page)}{_related(page, 0, 9)}{_footer(page)}"
        f"<script>document.write('<img src=/stat?u='+escape(location.href)+'>');</script>\n</BODY>\n</HTML>\n"
    )


def old(page: Page) -> str:
    """A page of about 2003: nested tables, <font>, upper-case tags left open."""
    colour = OLD_COLOURS[page.number(len(OLD_COLOURS), "colour")]
    nav = " | ".join(f'<A HREF="/{i}.htm"><FONT SIZE=2>{word}</FONT></A>' for i, word in enumerate(_words(page, "nav")))
    text = body_html(page.body, "<P><FONT SIZE=3>&nbsp;&nbsp;&nbsp;&nbsp;{}</FONT>")
    return (
        f"<HTML>\n<HEAD>\n{_meta_charset(page)}<TITLE>{escape(page.title)}</TITLE>\n"
        f'<META NAME="GENERATOR" CONTENT="Microsoft FrontPage 4.0">\n</HEAD>\n'
        f'<BODY BGCOLOR="#FFFFFF" TOPMARGIN=0>\n<TABLE WIDTH=760 BORDER=0 ALIGN=center>'
        f'<TR><TD BGCOLOR="{colour}">{nav}\n'
        f"<TR><TD><TABLE WIDTH=100%><TR><TD WIDTH=140 VALIGN=top>{_related(page, 2, 5)}</TD>\n<TD VALIGN=top>"
        f'<CENTER><FONT COLOR="{colour}" SIZE=5><B>{escape(page.title)}</B></FONT></CENTER><HR>\n{text}\n'
        f"</TD></TR></TABLE>\n<TR><TD ALIGN=center>{_footer(page)}</TABLE>\n</BODY>\n</HTML>\n"
    )


def plain(page: Page) -> str:
    """Nearly no markup: a heading and the text."""
    return (
        f"<html><head>{_meta_charset(page)}<title>{escape(page.title)}</title></head>\n<body>\n"
        f"<h1>{escape(page.title)}</h1>\n{body_html(page.body)}\n</body></html>\n"
    )


SITES: dict[str, Callable[[Page], str]] = {
    f.__name__: f for f in (news, forum, blog, encyclopedia, shop, portal, old, plain)
}
