"""Logging in as the login page does it."""
import urllib.parse


def log_in(server, user="alice", password="wonderland", next_="/", fields=None, source=None):
    """Sends the login form; returns the response."""
    body = urllib.parse.urlencode({"user": user, "password": password, "next": next_}).encode()
    return server.request("POST", "/.fastfile/login", auth=None, body=body, source=source, fields={
        "Content-Type": "application/x-www-form-urlencoded", "Origin": server.origin, "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate", **(fields or {})})


def cookie_of(response):
    """'name=value' of the session cookie that a login set."""
    return response.field("Set-Cookie").split(";")[0]


def logged_in(server, **options):
    response = log_in(server, **options)
    assert response.status == 303, response
    return cookie_of(response)
