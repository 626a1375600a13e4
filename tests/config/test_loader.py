"""What the loader makes of what a file names."""

from pathlib import Path

from gateway.config.loader import load_file


def test_files_of_certificates_are_named_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text("x")
    path = tmp_path / "routes.yaml"
    path.write_text(
        "version: 1\n"
        "server: {http: {tls: {cert: cert.pem, key: key.pem}}}\n"
        "helpdesks:\n"
        "  desk: {kind: osticket, url: 'https://desk.example.org/api', auth: {api_key: '${env:KEY}'}, ca: ca.pem,\n"
        "         requester: {email: monitoring@example.org}}\n"
    )
    config = load_file(path, env={"KEY": "a-secret-key"})
    assert config.server.http.tls is not None
    assert config.server.http.tls.cert == str(tmp_path / "cert.pem")
    assert config.helpdesks["desk"].ca == str(tmp_path / "ca.pem")
