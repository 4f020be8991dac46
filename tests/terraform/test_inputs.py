"""Which inputs the module rejects, and in which words."""

from tests.terraform.terraform import Configuration


def test_wrong_input_is_rejected(inputs: Configuration) -> None:
    inputs.succeed("test", "-test-directory=tests")


def test_a_rejection_says_what_to_do(inputs: Configuration) -> None:
    code, said = inputs.terraform(
        "plan",
        "-var-file=environments/prod.tfvars",
        '-var=bucket={"name":"existing"}',
        '-var=filters=[{"prefix":"logs/"},{"prefix":"images/"},{"suffix":".gz","prefix":"logs/2026/"}]',
        workspace="dev",
    )
    assert code != 0
    words = " ".join(said.replace("│", " ").split())
    assert words.count("Error:") == 3
    assert '{"prefix":"logs/","suffix":""} and {"prefix":"logs/2026/","suffix":".gz"}' in words
    assert "images/" not in words
    assert 'trigger = "external"' in words
    assert "replace_bucket_notifications = true" in words
    assert "terraform workspace select -or-create prod" in words
