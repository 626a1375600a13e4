"""The file that ``ticket-gateway init`` writes: a small configuration for a real osTicket."""

STARTER = """\
# ticket-gateway: from every alarm to exactly one ticket.
# `ticket-gateway check` says what is wrong with this file; every key is described in docs/configuration.md.
# Secrets come from the environment (${env:NAME}) or from files (${file:/run/secrets/name}), never from here.
version: 1

server:
  http:
    listen: "127.0.0.1:8025"             # 0.0.0.0:8025 once the senders are on other machines; then add tls
    # tls: {cert: /etc/ticket-gateway/cert.pem, key: /etc/ticket-gateway/key.pem}
    # public_url: https://tickets.example.org
  # smtp:                                # mail for `support` below
  #   listen: "127.0.0.1:2525"           # your mail server hands over here: docs/mail.md
  #   hostname: tickets.example.org
  journal:
    url: "sqlite:///data/journal.db"     # relative to this file

sources:
  nagios:                                # served at /in/nagios
    kind: nagios
    auth: {bearer: "${env:NAGIOS_TOKEN}"}
  # zabbix:
  #   kind: zabbix
  #   auth: {bearer: "${env:ZABBIX_TOKEN}"}
  #   timezone: Europe/Berlin            # the zone of the Zabbix server
  #   wait: 5s                           # answer with the ticket, for Zabbix's event tags
  # support:
  #   kind: mail
  #   recipients: [support@tickets.example.org]

helpdesks:
  osticket:
    kind: osticket
    url: https://support.example.org/api # your osTicket, with /api at the end
    ticket_url: "https://support.example.org/scp/tickets.php?number={number}"
    auth: {api_key: "${env:OSTICKET_KEY}"} # Admin panel, Manage, API: bound to this machine's address
    requester: {name: Monitoring, email: monitoring@example.org}

routes:
  - name: alerts
    match: {severity: {gte: warning}}
    ticket:
      helpdesk: osticket
      template: alert
      fields:
        priority: {from: severity, table: {critical: emergency, major: high, "*": normal}}
    incident:
      repeat: {append_every: 1h}         # a repeated alarm adds to the ticket at most once an hour
      reopen_within: 3d                  # a relapse uses the old ticket

  # - name: mail
  #   match: {source: support}
  #   ticket:
  #     helpdesk: osticket
  #     template: mail
  #     fields: {email: "{{ event.sender.address }}", name: "{{ event.sender.name }}"}  # who wrote owns the ticket
  #   incident:
  #     reopen_within: 14d               # an answer to a closed ticket opens it again

unrouted:
  dead_letter: true                      # what no route takes waits in `ticket-gateway dead ls`

tests:                                   # what these rules shall do: `ticket-gateway test`, without any helpdesk
  - name: a critical alarm makes one ticket, and its end is told in it
    steps:
      - {at: 0s, send: {source: nagios, host: web1, service: HTTP, severity: critical}}
      - {at: 1m, expect: {create: {priority: emergency, title: HTTP}}}
      - {at: 1h, send: {source: nagios, kind: recovery, host: web1, service: HTTP}}
      - {at: 2h, expect: {create: 0, append: 1, tickets: 1}}
"""
"""Its text; `NAGIOS_TOKEN` and `OSTICKET_KEY` must be set, and the addresses be those of the reader."""
