"""What mail programs write around quotes, in the languages that they speak. Sources: the programs' own translations."""

import re
from typing import Final

# What stands before the day: On Tuesday, 3 March 2020 at 10:00, Ann wrote.
OPENERS: Final = (
    "On", "Am", "Um", "Le", "El", "Il", "In data", "Em", "Op", "Den", "På",
    "W dniu", "Dnia", "Dne", "Dňa", "Pe", "La",
    "Vào", "Lúc", "Le jeu", "Στις", "Pada", "V", "I", "Tue", "Mon", "Wed",
    "Thu", "Fri", "Sat", "Sun", "A(?:z)?", "Ke",
    "Il giorno", "El día", "No dia", "Mnamo", "Ngày", "于", "在",
)  # fmt: skip
VERBS: Final = (
    "wrote", "sent", "writes", "schrieb", "hat geschrieben", "geschrieben",
    "a écrit", "ecrit", "écrit", "escribió",
    "ha escrito", "escribio", "ha scritto", "scrive", "escreveu", "schreef",
    "heeft geschreven", "geschreven", "skrev",
    "skrev følgende", "napisał(?:\\(a\\)|a)?", "pisze", "napsal(?:\\(a\\)|a)?",
    "napísal(?:\\(a\\)|a)?", "kirjoitti",
    "написал(?:\\(а\\)|а)?", "пишет", "написав(?:\\(ла\\)|ла)?", "пише",
    "đã viết", "viết", "yazdı", "şunları yazdı",
    "έγραψε", "a scris", "ezt írta", "írta", "je napisao(?:/la)?",
    "napisao(?:/la)?", "написа", "menulis", "書きました",
    "のメール", "写道", "寫道", "님이 작성", "작성", "כתב(?:ה)?", "كتب",
    "het volgende geschreven", "pisał(?:a)?", "rašė", "kirjutas",
    "rakstīja", "va escriure", "scrisse", "napisao je", "napisala(?: je)?", "napisal(?: je)?", "şunu yazdı",
    "เขียนว่า", "folgendes geschrieben",
)  # fmt: skip
QUOTING: Final = ("Quoting", "Zitat von", "Citando", "Citation de", "Citazione", "Quotando", "Citát od", "Cytowanie")
ORIGINAL: Final = (
    "Original Message", "Original message", "Reply Message", "Original Email", "Original-Nachricht",
    "Ursprüngliche Nachricht", "Originalnachricht", "Antwort Nachricht", "Ursprüngliche Mail",
    "Mail original", "Mail originale",
    "Message d'origine", "Message original",
    "Message initial", "Mensaje original", "Messaggio originale", "Messaggio Originale", "Mensagem original",
    "Mensagem Original", "Oorspronkelijk bericht", "Oprindelig meddelelse", "Opprinnelig melding",
    "Ursprungligt meddelande", "Originalmeddelande", "Alkuperäinen viesti", "Wiadomość oryginalna",
    "Oryginalna wiadomość", "Původní zpráva", "Původní e-mail",
    "Pôvodná správa", "Eredeti üzenet", "Исходное сообщение",
    "Оригінальне повідомлення", "Оригинално съобщение", "Orijinal Mesaj", "Αρχικό μήνυμα", "Mesaj original",
    "Izvorna poruka", "Thư gốc", "原始邮件", "原始郵件", "邮件原件",
    "元のメッセージ", "オリジナルメッセージ", "원본 메시지", "원본 메일",
)  # fmt: skip
FORWARDED: Final = (
    "Forwarded message", "Forwarded Message", "Begin forwarded message", "Weitergeleitete Nachricht",
    "Anfang der weitergeleiteten Nachricht", "Message transféré",
    "Début du message transféré", "Message réexpédié",
    "Mensaje reenviado", "Inicio del mensaje reenviado", "Messaggio inoltrato", "Inizio messaggio inoltrato",
    "Mensagem encaminhada", "Início da mensagem reencaminhada",
    "Doorgestuurd bericht", "Begin doorgestuurd bericht",
    "Videresendt meddelelse", "Videresendt melding", "Vidarebefordrat meddelande", "Vidarebefordrat brev",
    "Välitetty viesti", "Edelleenlähetetty viesti", "Przekazana wiadomość",
    "Wiadomość przekazana", "Přeposlaná zpráva",
    "Preposlaná správa", "Továbbított üzenet", "Пересылаемое сообщение",
    "Пересланное сообщение", "Переслане повідомлення",
    "İletilen mesaj", "İletilmiş mesaj", "Προωθημένο μήνυμα",
    "Mesaj redirecționat", "Proslijeđena poruka", "转发的邮件",
    "轉寄郵件", "転送メッセージ", "전달된 메시지", "Thư đã chuyển tiếp", "Chuyển tiếp",
)  # fmt: skip
FROM: Final = (
    "From", "Von", "De", "Da", "Van", "Od", "Fra", "Från", "Lähettäjä",
    "Feladó", "Kimden", "Gönderen", "Από", "От", "Від",
    "De la", "Šalje", "Saatja", "Nuo", "Од", "จาก", "Dari",
    "差出人", "发件人", "寄件者", "寄件人", "보낸 사람", "보낸사람", "Từ", "מאת", "من", "Expéditeur", "Mittente",
)  # fmt: skip
DATE: Final = (
    "Sent", "Date", "Gesendet", "Datum", "Envoyé", "Date d'envoi", "Enviado",
    "Enviado el", "Enviada em", "Enviado em",
    "Enviada", "Fecha", "Inviato", "Data", "Verzonden", "Wysłano", "Wysłane",
    "Sendt", "Dato", "Skickat", "Lähetetty",
    "Päivämäärä", "Päiväys", "Elküldve", "Dátum", "Odesláno", "Odoslané",
    "Gönderildi", "Gönderme Tarihi", "Tarih",
    "Εστάλη", "Ημερομηνία", "Отправлено", "Дата", "Надіслано", "Trimis",
    "Poslano", "Изпратено", "Στάλθηκε", "Küldve", "Saadetud", "Nosūtīts", "Išsiųsta", "Послато", "ส่ง", "วันที่",
    "Enviat", "Dikirim", "Tanggal", "送信日時", "日時", "日付", "发送时间", "日期",
    "傳送時間", "傳送日期", "寄件日期", "보낸 날짜", "날짜", "Đã gửi", "Ngày", "נשלח", "تاريخ", "تم الإرسال",
)  # fmt: skip
TO: Final = (
    "To", "An", "À", "A", "Para", "Per", "Aan", "Do", "Til", "Till",
    "Vastaanottaja", "Címzett", "Komu", "Pro", "Kime", "Alıcı",
    "Προς", "До", "За", "Adressaat", "Saaja", "Kam", "ถึง", "Per a", "Kepada", "Ke",
    "Кому", "Către", "Za", "Prima", "宛先", "收件人", "收件者", "받는 사람",
    "받는사람", "Đến", "Tới", "אל", "إلى", "Cc", "CC", "Kopie", "Kopia",
)  # fmt: skip
SUBJECT: Final = (
    "Subject", "Betreff", "Objet", "Sujet", "Asunto", "Oggetto", "Assunto",
    "Onderwerp", "Temat", "Emne", "Ämne", "Aihe",
    "Tárgy", "Předmět", "Predmet", "Konu", "Θέμα", "Тема", "Subiect", "件名",
    "Относно", "Zadeva", "Teema", "Tēma", "Tema", "Наслов", "เรื่อง", "Assumpte", "Subjek", "Perihal",
    "主题", "主旨", "제목", "Chủ đề", "Tiêu đề", "נושא", "الموضوع",
)  # fmt: skip
DEVICE: Final = re.compile(
    r"(?i)(?:sent (?:from|with|via|using)|gesendet (?:von|mit|über)|von meinem .{1,40} gesendet"
    r"|diese nachricht wurde von"
    r"|envoyé (?:de|depuis|à partir de)|enviado (?:desde|do|de|a partir do|con)|inviato (?:da|dal"
    r"|con)|verzonden (?:vanaf|met|vanuit)"
    r"|verstuurd vanaf|sendt fra|skickat från|lähetetty|wysłane? z|odesláno z|odoslané z|elküldve"
    r"|отправлено (?:с|из)"
    r"|надіслано з|iphone'umdan|gönderildi|get outlook for|outlook für|télécharger outlook"
    r"|obtenir outlook|obtener outlook"
    r"|scarica outlook|iphoneから送信|从我的|發自我的|发自我的|나의 iphone에서|mit .{1,30} gesendet)\b.{0,80}"
)


def alternatives(words: tuple[str, ...]) -> str:
    """The words as one group of a regular expression, longest first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"
