"""The pages that people see: a frozen dataclass goes in, HTML comes out, and goes out with strict headers.

    pages = Pages(config.public_url)
    return pages.send(request, 200, SignInPage(csrf=browser.csrf, next=path))

No page has a script, a style of its own, or anything from elsewhere. Each says in its docstring where
its forms are posted, and with which fields.
"""
