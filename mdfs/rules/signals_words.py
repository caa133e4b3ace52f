"""Measurements of contacts, markup and words from lists."""

from __future__ import annotations

from mdfs.rules.registry import Measured, Values, integer, ratio


@ratio
def urls_per_kchar(m: Measured) -> Values:
    """Web addresses (`://`, `www.`) per 1,000 characters; null without characters."""
    return m.share("urls", "chars", 1000.0)


@ratio
def phones_per_kchar(m: Measured) -> Values:
    """Digit runs shaped like Chinese telephone numbers per 1,000 characters; null without characters."""
    return m.share("phones", "chars", 1000.0)


@ratio
def prices_per_kchar(m: Measured) -> Values:
    """Figures after a currency sign or before 元 or 块, per 1,000 characters; null without characters."""
    return m.share("prices", "chars", 1000.0)


@integer
def phone_numbers(m: Measured) -> Values:
    """Mobile and landline numbers, no 400-, 800- or short ones; replaced where `[edits] pii` names `phone`."""
    return m.count("phone_numbers")


@integer
def id_cards(m: Measured) -> Values:
    """ID-card numbers with a right check digit; replaced where `[edits] pii` names `id_card`."""
    return m.count("id_cards")


@integer
def bank_cards(m: Measured) -> Values:
    """Bank cards by their first digits and Luhn's check; replaced where `[edits] pii` names `bank_card`."""
    return m.count("bank_cards")


@integer
def emails(m: Measured) -> Values:
    """E-mail addresses; replaced where `[edits] pii` names `email`."""
    return m.count("emails")


@integer
def im_ids(m: Measured) -> Values:
    """QQ and WeChat ids behind their keyword, public accounts are none; replaced where `[edits] pii` names `im`."""
    return m.count("im_ids")


@integer
def plates(m: Measured) -> Values:
    """Licence plates of the mainland; replaced where `[edits] pii` names `plate`."""
    return m.count("plates")


@integer
def ip_addresses(m: Measured) -> Values:
    """Public IPv4 and IPv6 addresses; replaced where `[edits] pii` names `ip`."""
    return m.count("ip_addresses")


@ratio
def bracket_ratio(m: Measured) -> Values:
    """Brackets of all shapes, quotation marks aside, among characters, 0 to 1; null without characters."""
    return m.share("brackets", "chars")


@ratio
def lenticular_ratio(m: Measured) -> Values:
    """Characters inside 【 】 on one line, 0 to 1; null without characters (MAP-CC drops over 0.1)."""
    return m.share("lenticular_chars", "chars")


@ratio
def hash_ratio(m: Measured) -> Values:
    """Number signs (# of hashtags) a reading unit; null without units (Gopher drops over 0.1 a word)."""
    return m.share("hashes", "units")


@ratio
def ellipsis_ratio(m: Measured) -> Values:
    """Ellipses (… or ..., a run is one) a reading unit; null without units (Gopher drops over 0.1 a word)."""
    return m.share("ellipses", "units")


@integer
def curly_brackets(m: Measured) -> Values:
    """The characters { and } (C4, arXiv:1910.10683, drops pages that have one)."""
    return m.count("curly_brackets")


@ratio
def markup_ratio(m: Measured) -> Values:
    """Characters in tags, from < and a letter, / ! or ? to > on the same line, 0 to 1; null without characters."""
    return m.share("markup_chars", "chars")


@ratio
def json_keys_per_kchar(m: Measured) -> Values:
    """Places where a quotation mark and a colon meet, as after the keys of JSON, per 1,000 characters; null without."""
    return m.share("json_keys", "chars", 1000.0)


@integer
def contact_words(m: Measured) -> Values:
    """Invitations to get in touch (加微信 …: `lists/contact.txt`); null where the source is exempt."""
    return m.count("contact")


@ratio
def contact_words_per_kchar(m: Measured) -> Values:
    """Invitations to get in touch (加微信 …: `lists/contact.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("contact", "chars", 1000.0)


@integer
def ad_phrases(m: Measured) -> Values:
    """Phrases of sales talk (`lists/advertising.txt`); null where the source is exempt."""
    return m.count("advertising")


@ratio
def ad_phrases_per_kchar(m: Measured) -> Values:
    """Phrases of sales talk (`lists/advertising.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("advertising", "chars", 1000.0)


@integer
def gambling_words(m: Measured) -> Values:
    """Words of online gambling (`lists/gambling.txt`); null where the source is exempt."""
    return m.count("gambling")


@ratio
def gambling_words_per_kchar(m: Measured) -> Values:
    """Words of online gambling (`lists/gambling.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("gambling", "chars", 1000.0)


@integer
def adult_words(m: Measured) -> Values:
    """Lures of adult sites (`lists/adult.txt`); null where the source is exempt."""
    return m.count("adult")


@ratio
def adult_words_per_kchar(m: Measured) -> Values:
    """Lures of adult sites (`lists/adult.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("adult", "chars", 1000.0)


@integer
def medical_ads(m: Measured) -> Values:
    """Phrases of medical promotion (`lists/medical.txt`); null where the source is exempt."""
    return m.count("medical")


@ratio
def medical_ads_per_kchar(m: Measured) -> Values:
    """Phrases of medical promotion (`lists/medical.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("medical", "chars", 1000.0)


@integer
def sensitive_words(m: Measured) -> Values:
    """Offers against the law (`lists/sensitive.txt`); null where the source is exempt."""
    return m.count("sensitive")


@ratio
def sensitive_words_per_kchar(m: Measured) -> Values:
    """Offers against the law (`lists/sensitive.txt`), per 1,000 characters; null without or if exempt."""
    return m.share("sensitive", "chars", 1000.0)


@integer
def custom_1_words(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_1]`; null where the source is exempt."""
    return m.count("custom_1")


@ratio
def custom_1_words_per_kchar(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_1]`, per 1,000 characters; null without or if exempt."""
    return m.share("custom_1", "chars", 1000.0)


@integer
def custom_2_words(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_2]`; null where the source is exempt."""
    return m.count("custom_2")


@ratio
def custom_2_words_per_kchar(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_2]`, per 1,000 characters; null without or if exempt."""
    return m.share("custom_2", "chars", 1000.0)


@integer
def custom_3_words(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_3]`; null where the source is exempt."""
    return m.count("custom_3")


@ratio
def custom_3_words_per_kchar(m: Measured) -> Values:
    """Words of the recipe's own list `[lists.custom_3]`, per 1,000 characters; null without or if exempt."""
    return m.share("custom_3", "chars", 1000.0)


@integer
def severe_words(m: Measured) -> Values:
    """Words of the categories of severity 3 (gambling, adult, sensitive, if the recipe says nothing else)."""
    return m.count("severe")


@ratio
def severe_words_per_line(m: Measured) -> Values:
    """Words of the categories of severity 3 a non-empty line; null without lines (ChineseWebText drops over 0.5)."""
    return m.share("severe", "lines")
