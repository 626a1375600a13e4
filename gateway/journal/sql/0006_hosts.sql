-- By which the incidents of a host itself are found, for the services on it.
CREATE INDEX incident_host ON incident (host, closed_at) WHERE service = '' AND host != '';
