import pytest

from gateway.sources.mail.reply import reply_text, split_reply

QUOTE = "\n> Does it print?\n> Please tell us.\n"


@pytest.mark.parametrize(
    "header",
    [
        "On Tue, 3 Mar 2026 at 10:00, Bob Brown <bob@b.example> wrote:",
        "On Tue, 3 Mar 2026 at 10:00, Bob Brown\n<bob.with.a.very.long.address@department.b.example>\nwrote:",
        "Am 03.03.2026 um 10:00 schrieb Bob Brown:",
        "Le mar. 3 mars 2026 à 10:00, Bob Brown <bob@b.example> a écrit :",
        "El mar, 3 mar 2026 a las 10:00, Bob Brown (<bob@b.example>) escribió:",
        "Il giorno mar 3 mar 2026 alle ore 10:00 Bob Brown <bob@b.example> ha scritto:",
        "Em ter., 3 de mar. de 2026 às 10:00, Bob Brown <bob@b.example> escreveu:",
        "Op di 3 mrt 2026 om 10:00 schreef Bob Brown <bob@b.example>:",
        "Den tirs. 3. mars 2026 kl. 10:00 skrev Bob Brown <bob@b.example>:",
        "W dniu 3.03.2026 o 10:00, Bob Brown pisze:",
        "Dne 3. 3. 2026 v 10:00 Bob Brown napsal(a):",
        "вт, 3 мар. 2026 г. в 10:00, Bob Brown <bob@b.example> написал:",
        "2026-03-03 10:00 GMT+01:00 Bob Brown <bob@b.example>:",
        "2026年3月3日(火) 10:00 Bob Brown <bob@b.example>:",
        "-----Original Message-----",
        "-----Ursprüngliche Nachricht-----",
        "-------- Message d'origine --------",
        "---- Bob Brown wrote ----",
    ],
)
def test_a_quote_with_its_header_is_cut(header: str) -> None:
    assert reply_text(f"Yes, it does.\n\n{header}\n{QUOTE}") == "Yes, it does."


@pytest.mark.parametrize(
    ("names", "date"),
    [
        (("From", "Sent", "To", "Subject"), "Tuesday, 3 March 2026 10:00"),
        (("Von", "Gesendet", "An", "Betreff"), "Dienstag, 3. März 2026 10:00"),
        (("De", "Envoyé", "À", "Objet"), "mardi 3 mars 2026 10:00"),
        (("De", "Enviado el", "Para", "Asunto"), "martes, 3 de marzo de 2026 10:00"),
        (("Da", "Inviato", "A", "Oggetto"), "martedì 3 marzo 2026 10:00"),
        (("Van", "Verzonden", "Aan", "Onderwerp"), "dinsdag 3 maart 2026 10:00"),
        (("Od", "Wysłano", "Do", "Temat"), "wtorek, 3 marca 2026 10:00"),
        (("Fra", "Sendt", "Til", "Emne"), "3. mars 2026 10:00"),
        (("Från", "Skickat", "Till", "Ämne"), "den 3 mars 2026 10:00"),
        (("*From:* x", "*Sent", "*To", "*Subject"), "3 March 2026"),
        (("差出人", "送信日時", "宛先", "件名"), "2026年3月3日 10:00"),
    ],
)
def test_a_quoted_mail_without_marks_is_cut_at_its_header(names: tuple[str, ...], date: str) -> None:
    values = ("Bob <bob@b.example>", date, "Ann", "Printer")
    block = "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
    assert (
        reply_text(f"Yes, it does.\n\n________________________________\n{block}\n\nDoes it print?") == "Yes, it does."
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("> Does it print?\nYes.\n> And copy?\nNo.", "Yes.\nNo."),  # between the lines
        ("On 3 Mar 2026 10:00, Bob wrote:\n> Does it print?\n\nYes.", "Yes."),  # below
        ("Yes.\n\nOn 3 Mar 2026 10:00, Bob wrote:\n> Does it print?\n\nAnd thank you.", "Yes.\n\n\nAnd thank you."),
        ("On Monday it printed.\nOn your way past, look.", "On Monday it printed.\nOn your way past, look."),
        ("From: our side it is fine.", "From: our side it is fine."),
        ("Date: 3 March\nTime: 10\nPlace: here", "Date: 3 March\nTime: 10\nPlace: here"),
        (
            "FYI\n\n---------- Forwarded message ---------\nFrom: bob@b.example\nDate: x\n\nText",
            "FYI\n\n---------- Forwarded message ---------\nFrom: bob@b.example\nDate: x\n\nText",
        ),
        (">>> all of it <<<", ">>> all of it <<<"),
        ("> only\n> quotes", "> only\n> quotes"),
        ("", ""),
        ("Yes.\n-- \nAnn\nAcme Ltd", "Yes."),
        ("Yes.\n\nSent from my iPhone", "Yes."),
        ("Yes.\n\nVon meinem iPhone gesendet", "Yes."),
        ("Yes.\n\nSent from my desk, which is tidy.", "Yes.\n\nSent from my desk, which is tidy."),
        ("Yes.\n_________________________\nlist mailing list\nlist@a.example", "Yes."),
        ("a -- b\nc--d", "a -- b\nc--d"),
        ("-- \nAnn", "-- \nAnn"),
    ],
)
def test_what_the_writer_wrote_stays(text: str, written: str) -> None:
    assert reply_text(text) == written


def test_a_text_without_quotes_is_not_called_cut() -> None:
    assert not split_reply("Yes.\nNo.").cut
    assert split_reply("Yes.\n> No.").cut


def test_carriage_returns_change_nothing() -> None:
    assert reply_text("Yes.\r\n\r\nOn 3 Mar 2026 10:00, Bob wrote:\r\n> No?\r\n") == "Yes."
