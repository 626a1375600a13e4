"""What mail programs put between an answer and what it answers: some two hundred of them, in the words of many languages."""

import pytest

from gateway.sources.mail.html import to_text
from gateway.sources.mail.reply import reply_text

WHO = "Bob Brown <bob@b.example>"
ANSWER = "Yes, it does.\n\nPlease close it."
MARKED = "> Does it print?\n>\n> Please tell us."
BARE = "Does it print?\n\nPlease tell us."

# One line (or what a program breaks it into) before a quote that is marked with `>`.
LINES: dict[str, str] = {
    "Gmail en-US": f"On Tue, Mar 3, 2026 at 10:00 AM {WHO} wrote:",
    "Gmail en-US with a narrow blank": f"On Tue, Mar 3, 2026 at 10:00\u202fAM {WHO} wrote:",
    "Gmail en-GB": f"On Tue, 3 Mar 2026 at 10:00, {WHO} wrote:",
    "Gmail de": f"Am Di., 3. März 2026 um 10:00 Uhr schrieb {WHO}:",
    "Gmail fr": f"Le mar. 3 mars 2026 à 10:00, {WHO} a écrit :",
    "Gmail es": "El mar, 3 mar 2026 a las 10:00, Bob Brown (<bob@b.example>) escribió:",
    "Gmail it": f"Il giorno mar 3 mar 2026 alle ore 10:00 {WHO} ha scritto:",
    "Gmail pt-BR": f"Em ter., 3 de mar. de 2026 às 10:00, {WHO} escreveu:",
    "Gmail pt-PT": f"{WHO} escreveu (terça, 3/03/2026 à(s) 10:00):",
    "Gmail nl": f"Op di 3 mrt 2026 om 10:00 schreef {WHO}:",
    "Gmail pl": f"wt., 3 mar 2026 o 10:00 {WHO} napisał(a):",
    "Gmail ru": f"вт, 3 мар. 2026 г. в 10:00, {WHO}:",
    "Gmail uk": f"вт, 3 бер. 2026 р. о 10:00 {WHO} пише:",
    "Gmail sv": f"Den tis 3 mars 2026 kl 10:00 skrev {WHO}:",
    "Gmail da": f"Den tir. 3. mar. 2026 kl. 10.00 skrev {WHO}:",
    "Gmail no": f"tir. 3. mar. 2026 kl. 10:00 skrev {WHO}:",
    "Gmail fi": "ti 3. maalisk. 2026 klo 10.00 Bob Brown (bob@b.example) kirjoitti:",
    "Gmail cs": f"út 3. 3. 2026 v 10:00 odesílatel {WHO} napsal:",
    "Gmail sk": f"ut 3. 3. 2026 o 10:00 {WHO} napísal(a):",
    "Gmail hu": f"{WHO} ezt írta (időpont: 2026. márc. 3., K, 10:00):",
    "Gmail ro": f"mar., 3 mar. 2026 la 10:00, {WHO} a scris:",
    "Gmail bg": f"На вт, 3.03.2026 г. в 10:00 {WHO} написа:",
    "Gmail el": f"Στις Τρί 3 Μαρ 2026 στις 10:00 π.μ., ο χρήστης {WHO} έγραψε:",
    "Gmail tr": f"{WHO}, 3 Mar 2026 Sal, 10:00 tarihinde şunu yazdı:",
    "Gmail hr": f"uto, 3. ožu 2026. u 10:00 {WHO} napisao je:",
    "Gmail sl": f"V V tor., 3. mar. 2026 ob 10:00 je oseba {WHO} napisala:",
    "Gmail et": f"Kuupäev T, 3. märts 2026 kell 10:00 kirjutas {WHO}:",
    "Gmail lv": "otrd., 2026. g. 3. marts, plkst. 10:00 — lietotājs Bob Brown (<bob@b.example>) rakstīja:",
    "Gmail lt": f"2026-03-03, an, 10:00 {WHO} rašė:",
    "Gmail ja": f"2026年3月3日(火) 10:00 {WHO}:",
    "Gmail zh-CN": f"{WHO} 于2026年3月3日周二 10:00写道：",
    "Gmail zh-TW": f"{WHO} 於 2026年3月3日 週二 上午10:00寫道：",
    "Gmail ko": f"2026년 3월 3일 (화) 오전 10:00, {WHO}님이 작성:",
    "Gmail vi": f"Vào Th 3, 3 thg 3, 2026 vào lúc 10:00 {WHO} đã viết:",
    "Gmail th": f"ในวันที่ อ. 3 มี.ค. 2026 เวลา 10:00 {WHO} เขียนว่า:",
    "Gmail id": f"Pada tanggal Sel, 3 Mar 2026 pukul 10.00 {WHO} menulis:",
    "Gmail he": "\u202bבתאריך יום ג׳, 3 במרץ 2026 ב-10:00 מאת \u202aBob Brown\u202c\u200f <\u202abob@b.example\u202c\u200f>:\u202c",
    "Gmail ar": f"في الثلاثاء، 3 مارس 2026 في 10:00 ص تمت كتابة ما يلي بواسطة {WHO}:",
    "Gmail ca": f"Missatge de {WHO} del dia dt., 3 de març 2026 a les 10:00:",
    "Gmail broken": "On Tue, Mar 3, 2026 at 10:00 AM Bob Brown <\nbob.brown.with.a.long.address@department.b.example> wrote:",
    "Gmail without marks around the address": "On Tue, Mar 3, 2026 at 10:00 AM bob@b.example wrote:",
    "Apple en": f"On 3 Mar 2026, at 10:00, {WHO} wrote:",
    "Apple en-US": f"On Mar 3, 2026, at 10:00 AM, {WHO} wrote:",
    "Apple de": f"Am 03.03.2026 um 10:00 schrieb {WHO}:",
    "Apple fr": f"Le 3 mars 2026 à 10:00, {WHO} a écrit :",
    "Apple es": f"El 3 mar 2026, a las 10:00, {WHO} escribió:",
    "Apple it": f"Il giorno 3 mar 2026, alle ore 10:00, {WHO} ha scritto:",
    "Apple nl": f"Op 3 mrt 2026, om 10:00 heeft {WHO} het volgende geschreven:",
    "Apple sv": f"3 mars 2026 kl. 10:00 skrev {WHO}:",
    "Apple da": f"Den 3. mar. 2026 kl. 10.00 skrev {WHO}:",
    "Apple no": f"3. mar. 2026 kl. 10:00 skrev {WHO}:",
    "Apple pl": f"Wiadomość napisana przez {WHO} w dniu 3 mar 2026, o godz. 10:00:",
    "Apple ru": f"3 марта 2026 г., в 10:00, {WHO} написал(а):",
    "Apple pt": f"No dia 03/03/2026, às 10:00, {WHO} escreveu:",
    "Apple pt-BR": f"Em 3 de mar. de 2026, à(s) 10:00, {WHO} escreveu:",
    "Apple ja": f"2026/03/03 10:00、{WHO}のメール:",
    "Apple zh": f"在 2026年3月3日，10:00，{WHO} 写道：",
    "Apple zh without opener": f"2026年3月3日 10:00，{WHO} 写道：",
    "Apple ko": f"2026. 3. 3. 오전 10:00, {WHO} 작성:",
    "Apple fi": f"{WHO} kirjoitti 3.3.2026 kello 10.00:",
    "Apple cs": f"3. 3. 2026 v 10:00, {WHO}:",
    "Apple tr": f"{WHO} şunları yazdı (3 Mar 2026 10:00):",
    "Apple hu": f"{WHO} írta (2026. márc. 3. 10:00):",
    "Thunderbird en": "On 03/03/2026 10:00, Bob Brown wrote:",
    "Thunderbird en-US": "On 3/3/26 10:00 AM, Bob Brown wrote:",
    "Thunderbird without a date": "Bob Brown wrote:",
    "SeaMonkey": "Bob Brown wrote on 3/3/26 10:00 AM:",
    "Thunderbird de": "Am 03.03.2026 um 10:00 schrieb Bob Brown:",
    "Thunderbird de without a date": "Bob Brown schrieb:",
    "Thunderbird fr": "Le 03/03/2026 à 10:00, Bob Brown a écrit :",
    "Thunderbird es": "El 3/3/26 a las 10:00, Bob Brown escribió:",
    "Thunderbird it": "Il 03/03/2026 10:00, Bob Brown ha scritto:",
    "Thunderbird nl": "Op 03-03-2026 om 10:00 schreef Bob Brown:",
    "Thunderbird pl": "W dniu 3.03.2026 o 10:00, Bob Brown pisze:",
    "Thunderbird ru": "03.03.2026 10:00, Bob Brown пишет:",
    "Thunderbird cs": "Dne 03. 03. 26 v 10:00 Bob Brown napsal(a):",
    "Thunderbird sv": "Den 2026-03-03 kl. 10:00, skrev Bob Brown:",
    "Thunderbird da": "Den 03.03.2026 kl. 10.00 skrev Bob Brown:",
    "Thunderbird no": "Den 03.03.2026 10:00, skrev Bob Brown:",
    "Thunderbird fi": "Bob Brown kirjoitti 3.3.2026 klo 10.00:",
    "Thunderbird hu": "2026. 03. 03. 10:00 keltezéssel, Bob Brown írta:",
    "Thunderbird tr": "3.03.2026 10:00 tarihinde Bob Brown yazdı:",
    "Thunderbird pt-BR": "Em 03/03/2026 10:00, Bob Brown escreveu:",
    "Thunderbird pt-PT": "Às 10:00 de 03/03/2026, Bob Brown escreveu:",
    "Thunderbird el": "Στις 3/3/2026 10:00 π.μ., ο/η Bob Brown έγραψε:",
    "Evolution": "On Tue, 2026-03-03 at 10:00 +0100, Bob Brown wrote:",
    "Evolution de": "Am Dienstag, dem 03.03.2026 um 10:00 +0100 schrieb Bob Brown:",
    "KMail": "On Tuesday, 3 March 2026 10:00:00 CET Bob Brown wrote:",
    "KMail de": "Am Dienstag, 3. März 2026, 10:00:00 CET schrieb Bob Brown:",
    "mutt": "On Tue, Mar 03, 2026 at 10:00:00AM +0100, Bob Brown wrote:",
    "Gnus": "Bob Brown <bob@b.example> writes:",
    "mu4e": "Bob Brown writes:",
    "Claws": "On Tue, 3 Mar 2026 10:00:00 +0100\nBob Brown <bob@b.example> wrote:",
    "The Bat": "Tuesday, March 3, 2026, 10:00:00 AM, you wrote:",
    "Mail.ru": f"Вторник, 3 марта 2026, 10:00 +03:00 от {WHO}:",
    "Yandex": '03.03.2026, 10:00, "Bob Brown" <bob@b.example>:',
    "163": 'At 2026-03-03 10:00:00, "Bob Brown" <bob@b.example> wrote:',
    "163 zh": '在 2026-03-03 10:00:00，"Bob Brown" <bob@b.example> 写道：',
    "Superhuman": "On Tue, Mar 03, 2026 at 10:00 AM, Bob Brown < bob@b.example > wrote:",
    "Spark": f"On 3 Mar 2026 at 10:00 +0100, {WHO}, wrote:",
    "Proton": f"On Tuesday, March 3rd, 2026 at 10:00 AM, {WHO} wrote:",
    "Proton with a rule": f"------- Original Message -------\nOn Tuesday, March 3rd, 2026 at 10:00, {WHO} wrote:",
    "Proton with another rule": f"‐‐‐‐‐‐‐ Original Message ‐‐‐‐‐‐‐\nOn Tuesday, March 3rd, 2026 10:00 AM, {WHO} wrote:",
    "Proton de": f"{WHO} schrieb am Dienstag, 3. März 2026 um 10:00:",
    "K-9": f"On 3 March 2026 10:00:00 CET, {WHO} wrote:",
    "K-9 de": f"Am 3. März 2026 10:00:00 MEZ schrieb {WHO}:",
    "K-9 nl": f"{WHO} schreef op 3 maart 2026 10:00:00 CET:",
    "FairEmail": f"On Mar 3, 2026, 10:00 AM {WHO} wrote:",
    "FairEmail on a phone": f"3 March 2026 10:00:00 {WHO}:",
    "Roundcube": "On 2026-03-03 10:00, Bob Brown wrote:",
    "Roundcube de": "Am 2026-03-03 10:00, schrieb Bob Brown:",
    "Roundcube cs": "Dne 2026-03-03 10:00, Bob Brown napsal:",
    "SOGo": f"On Tuesday, March 03, 2026 10:00 CET, {WHO} wrote:\n ",
    "SOGo de": f"Am Dienstag, März 03, 2026 10:00 CET, schrieb {WHO}:\n ",
    "Horde": f"Quoting {WHO}:",
    "Horde de": f"Zitat von {WHO}:",
    "Horde without a date": f"{WHO} wrote:",
    "Notes": "Bob Brown <bob@b.example> wrote on 03/03/2026 10:00:00 AM:",
    "Notes de": "Bob Brown <bob@b.example> schrieb am 03.03.2026 10:00:00:",
    "Zoho": f"---- On Tue, 03 Mar 2026 10:00:00 +0100 {WHO} wrote ----",
    "Yahoo": f"On Tuesday, March 3, 2026, 10:00:00 AM GMT+1, {WHO} wrote:",
    "Yahoo de": f"Am Dienstag, 3. März 2026 um 10:00:00 MEZ hat {WHO} Folgendes geschrieben:",
    "Yahoo fr": f"Le mardi 3 mars 2026 à 10:00:00 UTC+1, {WHO} a écrit :",
    "Yahoo es": f"En martes, 3 de marzo de 2026, 10:00:00 CET, {WHO} escribió:",
    "Yahoo it": f"Il martedì 3 marzo 2026 alle ore 10:00:00 CET, {WHO} ha scritto:",
    "Yahoo pt": f"Em terça-feira, 3 de março de 2026 10:00:00 BRT, {WHO} escreveu:",
    "broken after the date": "On Tuesday, March 3, 2026 at 10:00:00 AM UTC+1\nBob Brown <bob@b.example> wrote:",
    "broken before the verb": f"Le mardi 3 mars 2026 à 10:00, {WHO} a\nécrit :",
    "broken twice": "Am Dienstag, den 3. März 2026 um 10:00 Uhr schrieb\nBob Brown via Support\n<support+17@b.example>:",
}
UNMARKED: tuple[str, ...] = (
    "Gmail en-US",
    "Gmail de",
    "Gmail fr",
    "Gmail ru",
    "Gmail ja",
    "Gmail zh-CN",
    "Gmail tr",
    "Apple en",
    "Apple nl",
    "Apple pl",
    "Yahoo",
    "Yahoo de",
    "Yahoo fr",
    "Yahoo es",
    "Yahoo it",
    "Yahoo pt",
    "Spark",
    "Notes",
    "Zoho",
    "Mail.ru",
    "Thunderbird en",
    "K-9 de",
    "Proton with a rule",
    "Gmail broken",
    "broken before the verb",
)

# The names that Outlook and others give to the header of the mail that is answered: from, sent, to, subject.
BLOCKS: dict[str, str] = {
    "en": "From Sent To Subject",
    "en date": "From Date To Subject",
    "de": "Von Gesendet An Betreff",
    "de datum": "Von Datum An Betreff",
    "fr": "De Envoyé À Objet",
    "fr date": "De Date À Objet",
    "es": "De Enviado Para Asunto",
    "es el": "De Enviado_el Para Asunto",
    "es fecha": "De Fecha Para Asunto",
    "it": "Da Inviato A Oggetto",
    "it data": "Da Data A Oggetto",
    "pt": "De Enviado Para Assunto",
    "pt em": "De Enviada_em Para Assunto",
    "nl": "Van Verzonden Aan Onderwerp",
    "nl datum": "Van Datum Aan Onderwerp",
    "da": "Fra Sendt Til Emne",
    "sv": "Från Skickat Till Ämne",
    "fi": "Lähettäjä Lähetetty Vastaanottaja Aihe",
    "pl": "Od Wysłano Do Temat",
    "pl data": "Od Data Do Temat",
    "cs": "Od Odesláno Komu Předmět",
    "sk": "Od Odoslané Komu Predmet",
    "hu": "Feladó Elküldve Címzett Tárgy",
    "hu 2": "Feladó Küldve Címzett Tárgy",
    "ro": "De_la Trimis Către Subiect",
    "bg": "От Изпратено До Относно",
    "ru": "От Отправлено Кому Тема",
    "uk": "Від Надіслано Кому Тема",
    "el": "Από Στάλθηκε Προς Θέμα",
    "tr": "Kimden Gönderildi Kime Konu",
    "hr": "Od Poslano Prima Predmet",
    "sl": "Od Poslano Za Zadeva",
    "et": "Saatja Saadetud Adressaat Teema",
    "lt": "Nuo Išsiųsta Kam Tema",
    "ja": "差出人 送信日時 宛先 件名",
    "zh-CN": "发件人 发送时间 收件人 主题",
    "zh-TW": "寄件者 寄件日期 收件者 主旨",
    "zh-TW 2": "寄件者 傳送日期 收件者 主旨",
    "ko": "보낸_사람 보낸_날짜 받는_사람 제목",
    "vi": "Từ Đã_gửi Đến Chủ_đề",
    "th": "จาก ส่ง ถึง เรื่อง",
    "he": "מאת נשלח אל נושא",
    "ar": "من تم_الإرسال إلى الموضوع",
    "ca": "De Enviat Per_a Tema",
    "id": "Dari Dikirim Kepada Subjek",
    "sr": "Од Послато За Наслов",
}
RULES: dict[str, str] = {
    "nothing": "",
    "Outlook's rule": "________________________________\n",
    "Outlook 2003": "-----Original Message-----\n",
    "Outlook 2003 de": "-----Ursprüngliche Nachricht-----\n",
    "Samsung": "-------- Original message --------\n",
    "Samsung fr": "-------- Message d'origine --------\n",
    "Samsung pl": "-------- Oryginalna wiadomość --------\n",
    "Zimbra de": "----- Ursprüngliche Mail -----\n",
    "Zimbra fr": "----- Mail original -----\n",
    "QQ": "------------------ 原始邮件 ------------------\n",
    "BlackBerry": "------Original Message------\n",
    "T-Online": "-----Original-Nachricht-----\n",
    "Apple's announcement": "\n",
}


def block(names: str, style: str = "{}: {}") -> str:
    values = (WHO, "Tuesday, 3 March 2026 10:00", "Ann <ann@a.example>", "Printer")
    return "\n".join(
        style.format(name.replace("_", " "), value) for name, value in zip(names.split(), values, strict=True)
    )


@pytest.mark.parametrize("name", LINES)
def test_a_marked_quote_is_cut_with_its_line(name: str) -> None:
    assert reply_text(f"{ANSWER}\n\n{LINES[name]}\n{MARKED}\n") == ANSWER
    assert reply_text(f"{ANSWER}\n\n{LINES[name]}\n\n{MARKED}\n") == ANSWER


@pytest.mark.parametrize("name", LINES)
def test_an_answer_below_and_between_is_kept_whole(name: str) -> None:
    assert reply_text(f"{LINES[name]}\n{MARKED}\n\n{ANSWER}\n") == ANSWER
    mixed = reply_text(f"Hello Bob,\n\n{LINES[name]}\n> Does it print?\n\nYes, it does.\n\n> And copy?\n\nNo.\n")
    assert [text for text in mixed.split("\n") if text] == ["Hello Bob,", "Yes, it does.", "No."]


@pytest.mark.parametrize("name", UNMARKED)
def test_a_quote_without_marks_is_cut_at_its_line(name: str) -> None:
    assert reply_text(f"{ANSWER}\n\n{LINES[name]}\n\n{BARE}\n") == ANSWER


@pytest.mark.parametrize(
    "style", ["{}: {}", "*{}:* {}", "*{}*: {}", "{} : {}", "{}:\t{}", "{}:        {}", "**{}:** {}", "{}：{}"]
)
@pytest.mark.parametrize("language", BLOCKS)
def test_a_quote_is_cut_at_the_header_that_stands_above_it(language: str, style: str) -> None:
    assert reply_text(f"{ANSWER}\n\n{block(BLOCKS[language], style)}\n\n{BARE}\n") == ANSWER


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("language", ["en", "de", "fr", "zh-CN"])
def test_the_rule_above_such_a_header_goes_with_it(rule: str, language: str) -> None:
    text = f"{ANSWER}\n\n{RULES[rule]}{block(BLOCKS[language])}\n\n{BARE}\n"
    assert reply_text(text) == ANSWER
    assert reply_text(text.replace("10:00\n", "10:00\nCc: Carl <carl@a.example>\n")) == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        'Gesendet: Dienstag, 03. März 2026 um 10:00 Uhr\nVon: "Bob" <bob@b.example>\nAn: ann@a.example\nBetreff: Drucker',
        "-----Original-Nachricht-----\nBetreff: Drucker\nDatum: 2026-03-03T10:00:00\nVon: <bob@b.example>\nAn: <ann@a.example>",
        "----- Original Message -----\nFrom: Bob\nTo: Ann\nSent: Tuesday, March 3, 2026 10:00:00 AM\nSubject: Printer",
        "-----Original Message-----\nFrom: Bob [mailto:bob@b.example]\nSent: Tuesday, March 03, 2026\nTo: 'Ann'\nSubject: x",
        "From: Bob Brown\nSent: Tuesday, March 3, 2026\n10:00 AM\nTo: Ann Amber; Carl Coal;\nDora Dune\nSubject: Printer",
        "________________________________\nFrom: Bob\nSent: 3 March 2026\nTo: a\n\n\nSubject: Printer",
    ],
)
def test_other_shapes_of_such_headers(text: str) -> None:
    assert reply_text(f"{ANSWER}\n\n{text}\n\n{BARE}\n") == ANSWER


@pytest.mark.parametrize(
    "text",
    [
        "Bob wrote:\nthe printer is broken.\n\nI think that he is right.",
        "As Bob wrote: it does not print.\n> was his word\nI agree.",
        "On Tuesday Bob wrote a letter.\nIt says:\nno.",
        "Am Dienstag schrieb ich Ihnen:\nEs druckt nicht.\nBis heute kam keine Antwort.",
        "From: Berlin\nTo: Bonn\nI need two tickets.",
        "Von: Hamburg\nNach: Bremen\nAbfahrt: 10:00",
        "Data: 3 marzo\nOra: 10:00\nLuogo: ufficio",
        "Subject: printer\nRoom: 17\nIt does not print.",
        "To: whom it may concern\n\nplease help.",
        "Date: 3 March 2026\nName: Ann\nProblem: no paper",
        "Name: Ann\nFrom: 3 March\nTo: 5 March\nReason: holiday",
        "Here is the log:\n2026-03-03 10:00:01 bob@b.example: no paper\n2026-03-03 10:00:02 bob@b.example: jam",
        "1. We met on 3.3.2026 at 10:00\n2. Bob said:\nno paper",
        "Quoting the manual:\npage 17 says so.",
        "At 10:00 on 3 March 2026 the server wrote:\nERROR 17\nWhat does it mean?",
        "Le 3 mars 2026 à 10:00 nous avons reçu :\n- deux imprimantes\n- un câble",
        "------------------------------\nItem   Price\n------------------------------\nPaper  17",
        "Question 1:\nyes\n________________\nQuestion 2:\nno",
        (
            "My letter\n\n--\nstill my letter, it goes on\nand on\nand on\nand on\nand on\nand on\nand on\nand on\nand on"
            "\nand on\nand on\nand on\nand on\nand on\nand on\nand on\nand on\nthe end."
        ),
        "Von meinem iPhone aus geht es nicht.",
        "Sent from my iPhone it works, sent from the PC it does not.",
        "> quote first\n> more\n\nOn 3 March 2026 it worked.",
        "De: toute façon\nÀ: bientôt",
    ],
)
def test_nothing_of_a_persons_words_is_taken_for_a_header(text: str) -> None:
    kept = reply_text(text)
    assert [line for line in text.split("\n") if line.strip() and not line.startswith(">")] == [
        line for line in kept.split("\n") if line.strip()
    ]


HEADER = "<b>Von:</b> Bob &lt;bob@b.example&gt;<br><b>Gesendet:</b> 3. M&auml;rz 2026 10:00<br><b>An:</b> Ann<br><b>Betreff:</b> x"
HTML: dict[str, str] = {
    "Outlook": "<div class=WordSection1><p class=MsoNormal>Ja, druckt.<o:p></o:p></p><p class=MsoNormal>"
    "<o:p>&nbsp;</o:p></p>"
    f'<div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class=MsoNormal>{HEADER}<o:p>'
    f"</o:p></p></div></div>"
    "<p class=MsoNormal>Druckt er?<o:p></o:p></p></div>",
    "Outlook on the web": f'<div>Ja, druckt.</div><hr tabindex="-1"><div id="divRplyFwdMsg">{HEADER}'
    f"</div><div>Druckt er?</div>",
    "Zimbra": f'<div>Ja, druckt.</div><hr id="zwchr"><div data-marker="__HEADERS__">{HEADER}<br></div>'
    f"<br><div>Druckt er?</div>",
    "Gmail": '<div dir="ltr">Ja, druckt.</div><br><div class="gmail_quote">'
    '<div dir="ltr" class="gmail_attr">Am Di., 3. März 2026 um '
    '10:00&nbsp;Uhr schrieb Bob &lt;<a href="mailto:bob@b.example">bob@b.example</a>&gt;:<br></div>'
    '<blockquote class="gmail_quote">'
    "<div>Druckt er?</div></blockquote></div>",
    "Apple": '<body>Ja, druckt.<br><div><br><blockquote type="cite">'
    "<div>Am 03.03.2026 um 10:00 schrieb Bob &lt;bob@b.example&gt;:</div>"
    "<br><div>Druckt er?</div></blockquote></div></body>",
    "Yahoo": "<div>Ja, druckt.</div><div><br></div><div class=yahoo_quoted>"
    "<div>Am Dienstag, 3. M&auml;rz 2026 um 10:00:00 MEZ hat Bob "
    "&lt;bob@b.example&gt; Folgendes geschrieben: </div><div><br></div><div>Druckt er?</div></div>",
    "Thunderbird": '<p>Ja, druckt.</p><div class="moz-cite-prefix">Am 03.03.26 um 10:00 schrieb Bob:<br></div>'
    '<blockquote type="cite"><p>Druckt er?</p></blockquote>',
    "Samsung": "<div>Ja, druckt.</div><div><br></div><div>-------- Ursprüngliche Nachricht --------"
    "</div><div>Von: Bob &lt;b@b.example&gt;"
    " </div><div>Datum: 03.03.26  10:00  (GMT+01:00) </div><div>An: Ann </div><div>Betreff: x </div>"
    "<div><br></div><div>Druckt er?</div>",
    "GMX": "<div>Ja, druckt.<div>&nbsp;</div><div><b>Gesendet:"
    "</b>&nbsp;Dienstag, 03. M&auml;rz 2026 um 10:00 Uhr<br/><b>Von:</b>&nbsp;"
    "&quot;Bob&quot; &lt;b@b.example&gt;<br/><b>An:</b>&nbsp;a@a.example<br/><b>Betreff:</b>&nbsp;x"
    "</div>Druckt er?</div>",
    "a header as a table": "<div>Ja, druckt.</div><table><tr><td><b>From:</b></td>"
    "<td>Bob &lt;b@b.example&gt;</td></tr><tr><td><b>Sent:</b>"
    "</td><td>3 March 2026 10:00</td></tr><tr><td><b>To:</b></td><td>Ann</td></tr></table><div>Druckt er?</div>",
}


@pytest.mark.parametrize("name", HTML)
def test_an_answer_in_html_is_parted_from_its_quote(name: str) -> None:
    assert reply_text(to_text(HTML[name])) == "Ja, druckt."
