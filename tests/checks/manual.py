"""mandoc finds nothing to complain about in the manual pages."""

import house


def check(root):
    pages = [p for p in house.files(root) if p.suffix in {".1", ".3", ".7"}]
    if not pages:
        return ["no manual pages found"]
    command = [*house.need("mandoc"), "-T", "lint", "-W", "warning", *pages]
    code, said = house.run(command)
    return said.splitlines() or [f"mandoc: exit {code}"] if code else []


def self_test():
    good = '.Dd January 1, 2026\n.Dt A 1\n.Os\n.Sh NAME\n.Nm a\n.Nd an example\n'
    house.try_on(check, {"docs/a.1": good})
    house.try_on(check, {"docs/a.1": good + ".Sh\n"}, "a.1:7:")
    house.try_on(check, {"docs/a.md": ""}, "no manual pages")


if __name__ == "__main__":
    house.main(check, self_test)
