"""Recipes: loading, inheritance, errors that name the nearest key, digests."""

import tomllib
from pathlib import Path

import pytest

from mdfs import recipe
from mdfs.errors import UsageError


def write(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("name", recipe.shipped())
def test_shipped_recipes_load_and_survive_a_round_trip(name, tmp_path):
    loaded = recipe.load(name)
    again = recipe.load(write(tmp_path, loaded.to_toml(), f"{name}.toml"))
    assert again.to_dict() == loaded.to_dict()
    assert again.digest() == loaded.digest()
    assert loaded.title


def test_base_is_taken_over_and_changed(tmp_path):
    path = write(tmp_path, 'base = "yuan1"\n[rules]\nhan_ratio = { min = 0.3 }\n')
    mine, base = recipe.load(path), recipe.load("yuan1")
    assert mine.rules["han_ratio"].min == 0.3
    assert mine.rules["chars"] == base.rules["chars"]
    assert mine.name == "mine"


def test_a_relative_base_is_found_beside_the_recipe(tmp_path):
    write(tmp_path, "[rules]\nchars = { min = 7 }\n", "first.toml")
    second = write(tmp_path, 'base = "first.toml"\n', "second.toml")
    assert recipe.load(second).rules["chars"].min == 7


def test_false_removes_what_the_base_says(tmp_path):
    path = write(tmp_path, 'base = "yuan1"\n[dedup]\nminhash = false\n[rules]\nchars = false\n')
    mine = recipe.load(path)
    assert mine.dedup.minhash is None
    assert "chars" not in mine.rules


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[rule]\n", "did you mean 'rules'"),
        ("[rules]\nhan_rato = { min = 1 }\n", "did you mean 'han_ratio'"),
        ("[rules]\nchars = { minn = 1 }\n", "did you mean 'min'"),
        ("[rules]\nchars = {}\n", "neither min nor max"),
        ("[rules]\nchars = 3\n", "must be a table"),
        ('[dedup]\nurl = "yes"\n', "must be a bool"),
        ("[dedup.minhash]\nthreshold = 1.5\n", "between 0 and 1"),
        ("[dedup.minhash]\nngram = true\n", "must be a int"),
        ("[dedup.minhash]\nseed = -1\n", "seed must lie"),
        ("[dedup.minhash]\nnum_perm = 2\nthreshold = 0.3\n", "raise num_perm or lower recall"),
        ("[dedup]\nprefer = 'x'\n", "must be a list"),
        ("[tokenize]\nshard_tokens = 0\n", "at least 1"),
        ("[rules]\nchars = { min = nan }\n", "finite"),
        ("rules = [", "not TOML"),
        ('base = "no-such"\n', "neither a shipped recipe nor a file"),
        ("base = 3\n", "base must be"),
    ],
)
def test_mistakes_are_told_in_one_line(text, says, tmp_path):
    with pytest.raises(UsageError) as error:
        recipe.load(write(tmp_path, text))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_base_that_leads_back_is_an_error(tmp_path):
    first = write(tmp_path, f'base = "{tmp_path}/b.toml"\n', "a.toml")
    write(tmp_path, f'base = "{tmp_path}/a.toml"\n', "b.toml")
    with pytest.raises(UsageError, match="leads back"):
        recipe.load(first)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'yuan1'"):
        recipe.load("yuan")


def test_digest_changes_with_what_changes_output_and_only_with_that(tmp_path):
    base = recipe.load("yuan1")
    retitled = recipe.load(write(tmp_path, 'base = "yuan1"\ntitle = "another"\n'))
    stricter = recipe.load(write(tmp_path, 'base = "yuan1"\n[rules]\nchars = { min = 151 }\n'))
    assert retitled.digest() == base.digest()
    assert stricter.digest() != base.digest()
    assert stricter.stage_digest("rules") != base.stage_digest("rules")
    assert stricter.stage_digest("collect") == base.stage_digest("collect")


def test_digest_changes_with_the_tokenizer_file(tmp_path):
    from mdfs import shipped

    folder = shipped.folder("tokenize/starter")
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes((folder / "tokenizer.json").read_bytes())
    path = write(tmp_path, 'base = "yuan1"\n[tokenize]\ntokenizer = "./tokenizer.json"\n')
    before = recipe.load(path).digest()
    assert before == recipe.load("yuan1").digest(), "the same tokenizer under another name is the same corpus"
    copy.write_text(copy.read_text("utf-8") + " ", "utf-8")
    assert recipe.load(path).digest() != before


def test_source_of_takes_the_first_that_fits(tmp_path):
    text = """
        [[source]]
        match = "web/**/*.warc.gz"
        name = "cc"
        [[source]]
        match = "*"
        name = "rest"
    """
    mine = recipe.load(write(tmp_path, text))
    assert mine.source_of("web/2021/a.warc.gz").name == "cc"
    assert mine.source_of("web/a.warc.gz").name == "cc"
    assert mine.source_of("news/a.dat").name == "rest"


def test_to_toml_is_toml(tmp_path):
    data = tomllib.loads(recipe.load("yuan1").to_toml())
    assert data["rules"]["han_ratio"]["min"] == 0.6
