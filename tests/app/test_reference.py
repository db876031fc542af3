"""What is written from the code is what the code says."""

import tomllib

from imsuite.app.reference import different, documents, features, main, specs_markdown


def test_the_documents_are_up_to_date():
    """Architecture §9, §13.5: `make docs` writes them."""
    assert sorted(different()) == []


def test_what_is_out_of_date_is_told_and_written(tmp_path, capsys):
    (tmp_path / "docs").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "docs/specs.md").write_text("old")
    assert main(["--check"], tmp_path) == 1
    assert "docs/specs.md is out of date; run `make docs`" in capsys.readouterr().err
    assert (tmp_path / "docs/specs.md").read_text() == "old"
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert (tmp_path / "docs/specs.md").read_text() == specs_markdown()


def test_wrong_use_is_told(tmp_path, capsys):
    assert main(["--chekc"], tmp_path) == 2
    assert "usage" in capsys.readouterr().err


def test_each_feature_has_one_row_of_six_cells():
    rows = [line for line in specs_markdown().splitlines() if line.startswith(("| RFC", "| XEP"))]
    assert len(rows) == len(features())
    assert all(line.replace(r"\|", "").count("|") == 7 for line in rows)


def test_the_sample_configuration_is_one():
    assert tomllib.loads(documents()["etc/imsuite.toml"]).keys() >= {
        "server",
        "logins",
        "passwords",
    }
