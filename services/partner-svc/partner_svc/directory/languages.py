"""Words for languages → ISO 639 codes, where the word is plain. Pure."""

import re

_NAMES = """
aa:afar af:afrikaans ak:akan,twi sq:albanian am:amharic ar:arabic,standard arabic hy:armenian
as:assamese az:azerbaijani,azeri bm:bambara eu:basque be:belarusian,byelorussian bn:bengali,bangla
bs:bosnian bg:bulgarian my:burmese,myanmar ca:catalan ny:chichewa,nyanja zh:chinese
cmn:mandarin,mandarin chinese,chinese (mandarin) yue:cantonese,cantonese chinese,chinese (cantonese)
nan:taiwanese,hokkien,taiwanese hokkien kea:cape verdean creole,cape verdean,kriolu,cabo verdean
creole co:corsican hr:croatian cs:czech da:danish prs:dari nl:dutch,flemish
dz:dzongkha en:english eo:esperanto et:estonian ee:ewe fa:farsi,persian fj:fijian
fil:filipino,pilipino fi:finnish fr:french ff:fulah,fula,fulani gl:galician lg:ganda,luganda
ka:georgian de:german el:greek,modern greek gn:guarani gu:gujarati ha:hausa he:hebrew hi:hindi
ht:haitian creole,haitian,haitian kreyol,kreyol,krey\u00f2l,kreyol ayisyen,haitian-creole,french
creole hmn:hmong hu:hungarian is:icelandic ig:igbo,ibo ilo:ilocano id:indonesian ga:irish
it:italian ja:japanese jv:javanese kn:kannada kar:karen ks:kashmiri kk:kazakh km:khmer,cambodian
quc:k'iche',kiche mam:mam rw:kinyarwanda rn:kirundi,rundi kg:kongo ko:korean ku:kurdish
ky:kyrgyz,kirghiz lo:lao,laotian la:latin lv:latvian ln:lingala lt:lithuanian lb:luxembourgish
mk:macedonian mg:malagasy ms:malay ml:malayalam mt:maltese mi:maori mr:marathi mh:marshallese
myn:mayan mn:mongolian nv:navajo,navaho ne:nepali no:norwegian nb:bokmal or:odia,oriya
om:oromo,afan oromo ps:pashto,pushto pl:polish pt:portuguese,brazilian portuguese,portugu\u00eas
pa:punjabi,panjabi qu:quechua ro:romanian,moldovan rom:romani ru:russian sm:samoan sa:sanskrit
gd:scottish gaelic sr:serbian sn:shona sd:sindhi si:sinhala,sinhalese sk:slovak sl:slovenian,slovene
so:somali es:spanish,espa\u00f1ol,espanol,castilian st:sotho su:sundanese sw:swahili,kiswahili
ss:swati sv:swedish tl:tagalog tg:tajik ta:tamil te:telugu th:thai bo:tibetan ti:tigrinya to:tongan
ts:tsonga tn:tswana tr:turkish tk:turkmen uk:ukrainian ur:urdu ug:uyghur,uighur uz:uzbek
vi:vietnamese cy:welsh wo:wolof xh:xhosa yi:yiddish yo:yoruba zu:zulu
ase:american sign language,asl,a.s.l,american sign bfi:british sign language,bsl
"""
_THREE = {
    "eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ita": "it",
    "por": "pt", "rus": "ru", "ara": "ar", "zho": "zh", "chi": "zh", "jpn": "ja", "kor": "ko",
    "vie": "vi", "hat": "ht", "pol": "pl", "urd": "ur", "hin": "hi", "ben": "bn", "guj": "gu",
    "pan": "pa", "tam": "ta", "tel": "te", "nep": "ne", "fas": "fa", "per": "fa", "tur": "tr",
    "som": "so", "amh": "am", "tir": "ti", "swa": "sw", "ukr": "uk", "ron": "ro", "rum": "ro",
    "ell": "el", "gre": "el", "hye": "hy", "arm": "hy", "khm": "km", "lao": "lo", "tha": "th",
    "mya": "my", "bur": "my", "tgl": "tl", "heb": "he", "yid": "yi", "alb": "sq", "sqi": "sq",
    "cym": "cy", "wel": "cy",
}  # fmt: skip


def _table() -> dict[str, str]:
    table: dict[str, str] = {}
    for code, words in re.findall(r"(\w{2,3}):((?:(?!\s\w{2,3}:)[\s\S])+)", _NAMES):
        for word in " ".join(words.split()).split(","):
            table[word.strip()] = code
    return table


CODE_BY_NAME = _table()
CODES = frozenset(CODE_BY_NAME.values())
_TAG = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)
_SPLIT = re.compile(r"[;,./&\n]+|\s+and\s+|\s+or\s+|\s+y\s+")


def code_of_name(name: str) -> str | None:
    """The code of one plain word ("Spanish" → es), or None."""
    word = " ".join(name.lower().split()).strip(" .")
    word = word.removesuffix(" language") if word.removesuffix(" language") != "sign" else word
    return CODE_BY_NAME.get(word)


def code_of_tag(tag: str) -> str | None:
    """The ISO 639 code of a language tag ("es-MX" → es, "spa" → es), or None."""
    match = _TAG.fullmatch(tag.strip())
    if match is None:
        return None
    code = match[1].lower()
    return _THREE.get(code, code if code in CODES else None)


def split(text: str) -> list[tuple[str, str | None]]:
    """Free text → (words, code or None) of each part, in order, without repeats.

    "Spanish. Accommodations possible." → ("Spanish", "es"), ("Accommodations possible", None).
    """
    whole = text.strip(" .,;")
    if not whole:
        return []
    parts = [whole] if code_of_name(whole) else [part.strip(" .") for part in _SPLIT.split(whole)]
    found: dict[str, tuple[str, str | None]] = {}
    for part in parts:
        if part:
            code = code_of_name(part) or (code_of_tag(part) if len(part) <= 3 else None)
            found.setdefault(code or part.lower(), (part, code))
    return list(found.values())
