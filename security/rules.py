# What each rule of rules.yml finds, and what it lets be; read by `semgrep --test`, and run by nobody.
# ruleid: asks-a-portal-past-the-transport
requests.get(url)
# ruleid: asks-a-portal-past-the-transport
aiohttp.ClientSession()
# ok: asks-a-portal-past-the-transport
session.post(url)
# ruleid: trusts-more-than-it-should
session.post(url, verify=False)
# ruleid: trusts-more-than-it-should
session.post(url, allow_redirects=True)
# ok: trusts-more-than-it-should
session.post(url, verify=session.verify, allow_redirects=False)
# ruleid: hands-on-an-error-that-holds-the-address
try:
    send()
except requests.RequestException as error:
    raise Lost(reason) from error
# ok: hands-on-an-error-that-holds-the-address
try:
    send()
except requests.RequestException as error:
    raise Lost(reason) from None
# ok: hands-on-an-error-that-holds-the-address
try:
    read()
except ValueError as error:
    raise Lost(reason) from error
# ruleid: puts-the-code-into-a-text
said = f"{webhook.code} is wrong"
# ruleid: puts-the-code-into-a-text
log.info("%s", self.webhook.code)
# ok: puts-the-code-into-a-text
said = f"{error.code} is what the portal said"
# ruleid: starts-a-process
subprocess.run(["ls"])
# ruleid: reads-what-could-run
pickle.loads(body)
# ok: reads-what-could-run
json.loads(body)
# ruleid: makes-a-page-of-a-text
HTMLResponse(f"<p>{name}</p>")
# ok: makes-a-page-of-a-text
HTMLResponse(rendered("page.html.j2", name=name))
