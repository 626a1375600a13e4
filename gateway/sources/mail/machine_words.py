"""Subjects and sentences of automatic mail, in the languages of the programs that write them."""

import re
from typing import Final

from gateway.sources.mail.wordlists import words

# Automatic answers: subjects that the programs write, each followed by a colon, or alone.
_ANSWERS: Final = (
    "automatic reply", "automatic response", "auto reply", "auto-reply", "autoreply", "auto response",
    "auto-response", "autoresponse", "auto responder", "autoresponder", "out of office", "out of the office",
    "out-of-office", "out of office autoreply", "out of office reply", "out of office auto reply",
    "out of office notification", "out of office message", "vacation reply", "vacation response",
    "automatische antwort", "automatisch generierte antwort", "abwesenheitsnotiz", "abwesenheitsnachricht",
    "abwesenheitsassistent", "réponse automatique", "reponse automatique",
    "absence du bureau", "message d'absence",
    "respuesta automática", "respuesta automatica", "risposta automatica", "resposta automática",
    "resposta automatica", "automatisch antwoord", "automatische beantwoording", "afwezigheidsmelding",
    "automatisk svar", "autosvar", "fraværsmelding", "automatiskt svar", "frånvaromeddelande",
    "automaattinen vastaus", "poissaoloilmoitus", "odpowiedź automatyczna",
    "automatyczna odpowiedź", "autoodpowiedź",
    "automatická odpověď", "automatická odpoveď", "automatikus válasz", "răspuns automat", "αυτόματη απάντηση",
    "otomatik yanıt", "otomatik cevap", "автоответ", "автоматический ответ",
    "автоматична відповідь", "автовідповідь",
    "автоматичен отговор", "automatski odgovor", "samodejni odgovor",
    "automātiska atbilde", "automatinis atsakymas",
    "automaatvastus", "自動応答", "自動返信", "自動回答", "不在通知",
    "自动回复", "自动答复", "自動回覆", "自動答覆", "자동 회신", "자동 응답",
    "thư trả lời tự động", "trả lời tự động", "ตอบกลับอัตโนมัติ", "תשובה אוטומטית", "رد تلقائي",
)  # fmt: skip
# Words that people use in subjects too: only with other evidence.
_ABSENCES: Final = (
    "auto", "vacation", "away from my mail", "ooo", "oof", "abwesenheit",
    "abwesend", "außer haus", "nicht im büro",
    "absent du bureau", "absence", "absent", "fuera de la oficina",
    "fuera de oficina", "ausencia", "fuori ufficio",
    "fuori sede", "assenza", "fora do escritório", "ausência", "ausência temporária", "afwezig", "afwezigheid",
    "niet aanwezig", "fravær", "ikke til stede", "ikke på kontoret", "ikke-tilstede", "fraværende", "frånvaro",
    "frånvarande", "ej på kontoret", "poissa", "poza biurem", "nieobecność", "mimo kancelář", "mimo kanceláriu",
    "nepřítomnost", "házon kívül", "távollét", "absent din birou", "εκτός γραφείου", "ofis dışında",
    "нет на рабочем месте", "вне офиса", "不在のお知らせ", "外出", "부재중", "부재 중",
)  # fmt: skip


def _any(answers: tuple[str, ...]) -> str:
    return "(?:" + "|".join(sorted(map(re.escape, answers), key=len, reverse=True)) + ")"


ANSWER_SUBJECT: Final = re.compile(rf"(?i)^[\[(*<\s]*{_any(_ANSWERS)}[\])*>\s]*(?:[:：].*|)$")
# With other evidence: the same words with more behind them, or a word of absence.
ANSWER_BEGINS: Final = re.compile(rf"(?i)^[\[(*<\s]*{_any(_ANSWERS + _ABSENCES)}(?!\w)")
ABSENCE_ABOUT: Final = re.compile(rf"(?i)^[\[(*<\s]*{_any(_ABSENCES)}[\])*>\s]*[:：]")
# What Notes and others write of their owner: nothing but the name, and when.
IS_ABSENT: Final = re.compile(
    r"(?i)\S.{1,80}? (?:is (?:currently )?(?:out of (?:the )?office|away from the office|on (?:vacation|annual leave))"
    r"|ist (?:zur ?zeit |derzeit )?(?:außer haus|nicht im (?:büro|haus)|abwesend)"
    r"|est (?:actuellement )?absente?(?: du bureau)?"
    r"|está (?:fuera de la oficina|ausente)|è (?:fuori (?:ufficio|sede)|assente)|está (?:fora do escritório|ausente)"
    r"|is (?:afwezig|niet (?:aanwezig|op kantoor))|er (?:ikke til stede|ikke på kontoret|fraværende)"
    r"|är (?:ej på kontoret|frånvarande)"
    r"|jest (?:nieobecn[ya]|poza biurem))"
    r"(?:\s*[(.:!,].{0,80}|\s(?:until|till|from|returning|starting|bis|vom|ab|jusqu|hasta|fino|até|tot).{0,80})?"
)
EXCHANGE: Final = re.compile(r"microsoftexchange[0-9a-f]{32}")  # whom its reports are from
RECEIPT_SUBJECT: Final = re.compile(
    r"(?i)^(?:read|not read|gelesen|ungelesen gelöscht|lu|non lu|leído|letto|lido|gelezen|læst|läst"
    r"|przeczytano|přečteno"
    r"|прочтено|okundu|delivered|return receipt \(displayed\)|lesebestätigung|accusé de réception"
    r"|disposition notification)"
    r"\s*[:：]?.*",
)
# Returned mail: only counts with a sender that is a machine, or with a sentence of the report in the text.
BOUNCE_SUBJECT: Final = re.compile(
    r"(?i)undeliver|delivery (?:status )?(?:notification|failure|failed|report|problem|error|delay"
    r"|incomplete)|delivery has failed"
    r"|mail(?:er)? delivery|failure notice|returned mail|mail (?:could not be|not) delivered"
    r"|non[- ]?deliver|not delivered"
    r"|message (?:status|not delivered|delayed|you sent blocked)|delayed mail"
    r"|could not (?:be )?(?:send|sent|deliver)"
    r"|delivery.{0,20}(?:delayed|failed|unsuccessful)|email delivery|mail system error"
    r"|rejected (?:mail|message)|mail rejected"
    r"|warning: (?:could not send|message)|user unknown|unknown (?:user|address)|mailbox (?:full"
    r"|unavailable)|permanent error"
    r"|nicht zugestellt|unzustellbar|nicht zustellbar|zustellung|konnte nicht|rückläufer|non remis"
    r"|échec|non distribué"
    r"|no (?:se pudo )?entreg|devuelto|devolución|error en la entrega|impossibile recapitare"
    r"|mancata consegna|não (?:foi )?entregue"
    r"|falha na entrega|devolvid|onbestelbaar|niet bezorgd|onbezorgbaar|kunne ikke leveres"
    r"|ikke levert|kunde inte levereras"
    r"|ej levererat|toimittaminen epäonnistui|niedostarcz|nedoručiteln|nedoručen|kézbesíthetetlen"
    r"|недостав|не доставлено"
    r"|не удалось доставить|возвращ|teslim edilemedi|δεν παραδόθηκε|配信不能|配信できません|送信できません"
    r"|エラーメール|无法投递|退信|無法傳遞"
    r"|系统退信|배달되지|전송 실패|반송",
)
BOUNCE_SENTENCE: Final = re.compile(
    r"(?i)this (?:message|report) was (?:created|generated) automatically by (?:the )?mail"
    r"|this is the qmail-send program"
    r"|this is the mail (?:system|delivery agent) at|this is a permanent error; i've given up"
    r"|^(?:final|original)-recipient: *rfc822|^diagnostic-code: |the following address(?:es"
    r"|\(es\))? (?:had|failed)"
    r"|delivery to the following recipients? (?:failed|has been delayed)"
    r"|your message (?:did not reach|could not be delivered|wasn't delivered)"
    r"|could not be delivered to (?:one or more|the following) recipient"
    r"|the following message to <[^>]{3,200}> was undeliverable"
    r"|i(?:'m| am) (?:sorry|afraid)(?: to have to inform you that| i wasn't able to deliver) ?(?:your message)?"
    r"|the error that the other server returned was|-----? (?:transcript of session follows"
    r"|the following addresses had permanent)"
    r"|dies(?:e nachricht)? (?:wurde automatisch vom mail|ist eine automatisch erstellte)"
    r"|^\s*smtp error from remote (?:mail )?server",
    re.MULTILINE,
)
MACHINES: Final = words(
    "mailer-daemon mailerdaemon mail-daemon maildaemon mailer_daemon mail-delivery-subsystem maildeliverysystem mdaemon"
    " mail.delivery.system bounce-daemon"
)
DELIVERY_NAMES: Final = re.compile(
    r"(?i)mail(?:er)?[ -]?(?:delivery|daemon)|delivery (?:sub)?system|mail (?:administrator|router)"
    r"|post ?office|mail system"
)
REPLY_PREFIX: Final = re.compile(
    r"(?i)^\s*(?:re|aw|antw|sv|vs|odp|res|rif|fwd?|wg|tr|rv|enc|doorst|vl|vb|пересл|回复|答复|转发|返信"
    r"|転送)\s*(?:\[\d+\])?\s*[:：]"
)
