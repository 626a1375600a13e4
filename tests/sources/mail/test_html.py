import pytest

from gateway.sources.mail.html import sanitise, to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>lines</p>", "One\n\nTwo\nlines"),
        ("<ul><li>a<li>b<ol><li>c</li></ol></ul>after", "- a\n- b\n  1. c\n\nafter"),
        (
            "<table><tr><th>Host</th><th>State</th></tr><tr><td>db</td><td>DOWN</td></tr></table>",
            "Host | State\ndb | DOWN",
        ),
        ('<a href="https://e.example/x">see</a>', "see <https://e.example/x>"),
        ('<a href="https://e.example/">https://e.example</a>', "https://e.example"),
        ('<a href="mailto:ann@a.example">ann@a.example</a>', "ann@a.example"),
        ('<a href="javascript:alert(1)">no</a>', "no"),
        ("a<blockquote>q<blockquote>r</blockquote></blockquote>b", "a\n\n> q\n>\n> > r\n\nb"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<style>p{}</style><script>x</script><title>t</title>shown", "shown"),
        ("a <!-- hidden > --> b", "a b"),
        ("<!-- never closed: shown", "never closed: shown"),
        ("<script>never closed, shown", "never closed, shown"),
        ("1 < 2 &amp;&nbsp;3 > 2", "1 < 2 & 3 > 2"),
        ('<img src="x" alt="Logo">', "[Logo]"),
        ('<p title="a > b">kept</p>', "kept"),
        ("bo<b>l</b>d", "bold"),
        ("", ""),
    ],
)
def test_html_becomes_text_that_keeps_its_shape(html: str, text: str) -> None:
    assert to_text(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        '<a href="java\tscript:alert(1)">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<img src="https://tracker.example/1.gif" width="1" height="1">',
        '<div style="background:url(https://tracker.example)">x</div>',
        "<iframe src=https://e.example></iframe><form action=x><input></form><base href=x><meta http-equiv=refresh>",
        "<svg><script>alert(1)</script></svg><math><mi xlink:href='javascript:x'>",
        "<!--[if mso]><script>alert(1)</script><![endif]-->",
        "<style>@import 'https://tracker.example'</style>",
    ],
)
def test_nothing_active_and_nothing_remote_survives(html: str) -> None:
    clean = sanitise(html).lower()
    for bad in (
        "script",
        "onerror",
        "tracker",
        "iframe",
        "<form",
        "<base",
        "<meta",
        "data:",
        "alert(1)",
        "<svg",
        "<math",
        "style",
    ):
        assert bad not in clean


def test_markup_links_and_bound_images_survive() -> None:
    html = '<p><b>x</b> <a href="https://e.example">y</a><img src="cid:a@b" alt="z"></p>'
    clean = sanitise(html)
    assert "<b>x</b>" in clean
    assert 'href="https://e.example"' in clean
    assert 'src="cid:a@b"' in clean


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        (
            '<img src="https://e.example/a.png" alt="A &amp; B">',
            '<a href="https://e.example/a.png" rel="noopener noreferrer">[A &amp; B]</a>',
        ),
        (
            '<img src="https://e.example/a.png">',
            '<a href="https://e.example/a.png" rel="noopener noreferrer">[image]</a>',
        ),
        (
            '<a href="https://e.example/x"><img src="https://e.example/a.png" alt="Buy"></a>',
            '<a href="https://e.example/x" rel="noopener noreferrer">[Buy]</a>',
        ),
        ('a<img src="https://e.example/line.png" alt="">b', "ab"),
        ('a<img src="https://e.example/o.gif" style="display:none">b', "ab"),
        ('a<img src="https://e.example/o.gif" width=1 height="1">b', "ab"),
        (
            '<img alt="a > b" src="https://e.example/a.png">',
            '<a href="https://e.example/a.png" rel="noopener noreferrer">[a &gt; b]</a>',
        ),
        (
            "<img src=\"https://e.example/'onload=x\" alt='\"><script>'>",
            '<a href="https://e.example/&#x27;onload=x" rel="noopener noreferrer">[&quot;&gt;&lt;script&gt;]</a>',
        ),
        ('<img src="javascript:x" alt="no">', "[no]"),
    ],
)
def test_a_remote_image_is_never_loaded_and_its_place_is_shown(html: str, shown: str) -> None:
    assert sanitise(html) == shown


def test_lines_of_word_keep_no_distance_and_its_empty_paragraphs_are_empty_lines() -> None:
    html = (
        "<p class=MsoNormal>One<o:p></o:p></p>\n<p class=MsoNormal>two</p><p class=MsoNormal>&nbsp;</p>"
        "<p class=MsoNormal>three</p><p>four</p>"
    )
    assert to_text(html) == "One\ntwo\n\nthree\n\nfour"
    assert sanitise(html) == "<div>One</div>\n<div>two</div><div>&nbsp;</div><div>three</div><p>four</p>"
    assert sanitise('<p style="margin:0 0 0 0; color:red">a</p>') == "<div>a</div>"


def test_items_that_are_paragraphs_keep_their_marks() -> None:
    assert to_text("<ol><li><p>a</p><li><div>b</div><li><ul><li>c</ul></ol>") == "1. a\n\n2. b\n3.\n  - c"


def test_what_newsletters_put_behind_their_first_words_is_left_out_and_indents_stay() -> None:
    assert to_text("<div>News" + "&zwnj;&nbsp;" * 80 + "</div>Hello") == "News\nHello"
    assert sanitise("a" + "&nbsp;" * 10 + "b") == "a" + "&nbsp;" * 10 + "b"


def test_white_words_on_a_background_that_goes_do_not_become_invisible() -> None:
    assert "color" not in sanitise('<table bgcolor="#000"><tr><td><font color="#fff">seen</font></td></tr></table>')


def test_what_nests_too_deep_is_shown_as_its_text() -> None:
    assert sanitise("<div>" * 5000 + "deep &amp; down") == "<pre>deep &amp; down</pre>"
