"""Makes training files from public repositories of biomedical text and of query logs. Runs once, on a CPU.

    python biomedical.py --clones CLONES --out EXTRA     # then: build_data.py --extra EXTRA

CLONES/OWNER+NAME is a git clone (it needs no working tree, and missing files are skipped) of
asreview/systematic-review-datasets, jayded/evidence-inference, AshOlogn/Paragraph-level-Simplification-of-Medical-Texts,
sb895/Hallmarks-of-Cancer, cambridgeltl/MTL-Bioinformatics-2016 and castorini/anserini-tools (docs/training.md: licences).

Why: both biomedical sets consist of abstracts of some 340 tokens; their queries are claims, or two lay words. The training
data had neither. Nothing evaluated is read here, and build_data.py drops what overlaps with an evaluated corpus.
"""

import argparse
import csv
import io
import json
import lzma
import random
import re
import subprocess
import sys
from pathlib import Path

csv.field_size_limit(sys.maxsize)
SENTENCE_END = re.compile(r"(?<=[a-z0-9)%][.!?])\s+(?=[A-Z(])")
SECTION_LABEL = re.compile(r"\b(?:BACKGROUND|OBJECTIVES?|AIMS?|PURPOSE|METHODS?|RESULTS?|FINDINGS|CONCLUSIONS?|INTERPRETATION|DESIGN|SETTING)\s*:\s*", re.I)
FILLER = re.compile(
    r"^(?:in conclusion|in summary|taken together|thus|therefore|overall|these (?:results|findings|data) (?:suggest|indicate|show|demonstrate) that|"
    r"our (?:results|findings|data) (?:suggest|indicate|show|demonstrate) that|we (?:conclude|show|demonstrate|suggest) that|"
    r"this study (?:suggests|shows|demonstrates|indicates) that)[, ]*",
    re.I,
)  # fmt: skip


class Clone:
    """Reads files of a clone's newest commit; a file that the clone does not hold is None."""

    def __init__(self, root: Path, name: str):
        self.folder = root / name.replace("/", "+")
        if (self.folder / "repo").exists():
            self.folder = self.folder / "repo"
        lines = self.git("ls-tree", "-r", "HEAD").decode("utf-8", "replace").splitlines()
        self.blobs = {line.split("\t", 1)[1]: line.split()[2] for line in lines}

    def git(self, *arguments: str, **options) -> bytes:
        return subprocess.run(["git", "-C", str(self.folder), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options).stdout

    def paths(self, pattern: str) -> list[str]:
        return sorted(p for p in self.blobs if re.fullmatch(pattern, p))

    def read(self, paths: list[str]):
        """Yields (path, text) of the files that exist, through one git process."""
        wanted = "\n".join(self.blobs[p] for p in paths if p in self.blobs).encode()
        stream = io.BytesIO(self.git("cat-file", "--batch", input=wanted + b"\n"))
        for path in (p for p in paths if p in self.blobs):
            header = stream.readline().split()
            if len(header) < 3 or header[1] == b"missing":
                continue
            text = stream.read(int(header[2])).decode("utf-8", "replace")
            stream.read(1)
            yield path, text


def tidy(text: str) -> str:
    return " ".join(text.split())


def words(text: str) -> int:
    return text.count(" ") + 1


class Articles:
    """Abstracts with titles, each used in one role, so that no passage is in the collection twice."""

    def __init__(self, rng: random.Random):
        self.rng = rng
        self.seen: set[str] = set()
        self.pairs: dict[str, list[tuple[str, str]]] = {"bio-claims": [], "bio-titles": [], "bio-keywords": [], "bio-questions": []}
        self.texts: list[str] = []

    def add(self, title: str, abstract: str, keywords: list[str] = (), queries: list[str] = ()) -> None:
        title, abstract = tidy(title).strip("[]"), tidy(abstract)
        key = re.sub(r"\W+", "", abstract.lower())[:100]
        if words(abstract) < 60 or key in self.seen:
            return
        self.seen.add(key)
        whole = f"{title} {abstract}".strip()
        role = self.rng.random()
        if queries:
            self.pairs["bio-questions"] += [(tidy(q), whole) for q in queries]
        elif role < 0.4 and (split := self.claim(abstract)):
            claim, rest = split
            self.pairs["bio-claims"].append((claim, f"{title} {rest}".strip()))
        elif role < 0.6 and words(title) >= 4:
            self.pairs["bio-titles"].append((title, abstract))
        elif keywords:
            chosen = self.rng.sample(keywords, min(len(keywords), self.rng.choice((1, 2, 2, 3))))
            self.pairs["bio-keywords"].append((" ".join(chosen).lower(), whole))
        else:
            self.texts.append(whole)

    def claim(self, abstract: str) -> tuple[str, str] | None:
        """Removes the last sentence from the text and returns it: an author's claim reads like a query for its evidence."""
        sentences = SENTENCE_END.split(abstract)
        if len(sentences) < 4:
            return None
        claim = FILLER.sub("", SECTION_LABEL.sub("", sentences[-1])).strip()
        if not 6 <= words(claim) <= 32:
            return None
        return claim, SECTION_LABEL.sub("", " ".join(sentences[:-1]))


def reviews(clone: Clone, articles: Articles) -> None:
    """Records that systematic reviews screened; MeSH headings where the file has them."""
    outputs = [p for p in clone.paths(r"datasets/.*/output/.*\.csv") if "Hall_Wahono" not in p]
    outputs.sort(key=lambda p: "/local/" not in p)  # These have keywords, so they come first: `Articles` drops the repeats.
    for _, text in clone.read(outputs):
        for row in csv.DictReader(io.StringIO(text)):
            title, abstract = row.get("title") or "", row.get("abstract") or ""
            keywords = [k.strip() for k in (row.get("keywords") or "").split(";")]
            common = {"humans", "male", "female", "adult", "aged", "middle aged", "adolescent", "animals", "child", "double-blind method"}
            articles.add(title, abstract, [k.replace(",", "") for k in keywords if k and k.lower() not in common])


def trials(clone: Clone, articles: Articles, limit: int) -> list[str]:
    """Abstracts of trials with the questions physicians asked of them; -> paragraphs of the full texts."""
    asked: dict[str, list[str]] = {}
    for _, text in clone.read(["annotations/prompts_merged.csv"]):
        for row in csv.DictReader(io.StringIO(text)):
            outcome, what, against = (tidy(row[k]) for k in ("Outcome", "Intervention", "Comparator"))
            form = articles.rng.choice((f"{what} {outcome}", f"effect of {what} on {outcome}", f"{what} versus {against} {outcome}", f"does {what} change {outcome}"))
            if words(form) <= 24:
                asked.setdefault(row["PMCID"].removeprefix("PMC"), []).append(form)
    paragraphs: list[str] = []
    wanted = re.compile(r"background|introduction|discussion|results|conclusion|findings", re.I)
    for path, text in clone.read(clone.paths(r"annotations/txt_files/PMC\d+\.txt")):
        title, abstract, section, parts = "", [], "", []
        for block in re.split(r"\s+(?=(?:TITLE:|ABSTRACT[.:]|BODY[.:]))", "\n" + text):
            head, _, body = block.strip().partition("\n")
            # Some files have the text on the line of its heading.
            head, _, rest = head.partition(": ")
            body = f"{rest}\n{body}"
            if head.startswith("TITLE"):
                title = tidy(body)
            elif head.startswith("ABSTRACT"):
                abstract.append(tidy(body))
            elif head.startswith("BODY"):
                section = head
                if wanted.search(section):
                    parts += [tidy(p) for p in body.split("\n") if words(p) >= 50 and sum(c.isdigit() for c in p) < len(p) / 12]
        pmc = re.search(r"PMC(\d+)", path)[1]
        articles.add(title, " ".join(abstract), queries=list(dict.fromkeys(asked.get(pmc, [])))[:3])
        paragraphs += articles.rng.sample(parts, min(len(parts), 7))
    articles.rng.shuffle(paragraphs)
    return [" ".join(p.split()[:320]) for p in paragraphs[:limit]]


def lay_summaries(clone: Clone) -> list[tuple[str, str]]:
    """Sentences of plain-language summaries -> the technical abstract."""
    pairs = []
    files = {p: t.splitlines() for p, t in clone.read(clone.paths(r"data/data-1024/(val|test)\.(source|target)"))}
    for part in ("val", "test"):
        for technical, plain in zip(files[f"data/data-1024/{part}.source"], files[f"data/data-1024/{part}.target"]):
            sentences = [s for s in SENTENCE_END.split(tidy(plain)) if 6 <= words(s) <= 30]
            pairs += [(s, tidy(technical)) for s in sentences[:2]]
    return pairs


def tagged_text(clone: Clone, rng: random.Random) -> list[str]:
    """Running text from files with one token per line, cut into pieces of some 200 words at sentence ends."""
    pieces: list[str] = []
    wanted = r"data/(GENIA-pos|CRAFT-IOB|AnatEM-IOB|BC5CDR-IOB|NCBI-disease-IOB|BioNLP13CG-IOB|BioNLP13PC-IOB|BioNLP13GE-IOB|BioNLP11EPI-IOB|BioNLP11ID-IOB|linnaeus-IOB|JNLPBA)/(train|devel|test)\.tsv"
    for _, text in clone.read(clone.paths(wanted)):
        piece: list[str] = []
        size = rng.randint(90, 260)
        for sentence in re.split(r"\n\s*\n", text):
            tokens = [line.split("\t")[0] for line in sentence.splitlines() if line.strip()]
            if tokens[:1] in (["UI"], ["TI"], ["AB"]) or "DOCSTART" in sentence[:20]:
                tokens = [t for t in tokens if t not in ("UI", "TI", "AB", "-", ":", "-DOCSTART-")]
                if all(t.isdigit() for t in tokens):
                    continue
            piece += tokens
            if len(piece) >= size:
                pieces.append(" ".join(piece))
                piece, size = [], rng.randint(90, 260)
    return list(dict.fromkeys(pieces))


def web_queries(clone: Clone) -> list[str]:
    """The TREC million-query track's topics (a search engine's log) and trivia questions; no answers, no judgements."""
    out: list[str] = []
    for path, text in clone.read(clone.paths(r"topics/topics\.mq\.[\d-]+\.txt") + ["topics/topics.dpr.trivia.dev.txt"]):
        for line in text.splitlines():
            query = line.split("\t")[0] if "trivia" in path else line.split(":")[-1]
            query = tidy(query)
            if 2 <= words(query) <= 24 and query.isascii():
                out.append(query)
    return list(dict.fromkeys(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--paragraphs", type=int, default=26000)
    args = parser.parse_args()
    rng = random.Random(20261124)
    open_clone = lambda name: Clone(args.clones, name)  # noqa: E731
    articles = Articles(rng)
    reviews(open_clone("asreview/systematic-review-datasets"), articles)
    paragraphs = trials(open_clone("jayded/evidence-inference"), articles, args.paragraphs)
    for _, text in (hallmarks := open_clone("sb895/Hallmarks-of-Cancer")).read(hallmarks.paths(r"text/\d+\.txt")):
        articles.add("", text)
    (args.out / "train").mkdir(parents=True, exist_ok=True)
    (args.out / "text").mkdir(parents=True, exist_ok=True)
    pairs = {**articles.pairs, "bio-lay": lay_summaries(open_clone("AshOlogn/Paragraph-level-Simplification-of-Medical-Texts"))}
    for name, rows in pairs.items():
        with lzma.open(args.out / "train" / f"{name}.jsonl.xz", "wt", encoding="utf-8", preset=1) as file:
            file.writelines(json.dumps({"query": q, "positive": p}) + "\n" for q, p in rows)
    with lzma.open(args.out / "train" / "web-queries.jsonl.xz", "wt", encoding="utf-8", preset=1) as file:
        queries = web_queries(open_clone("castorini/anserini-tools"))
        file.writelines(json.dumps({"query": q, "positive": None}) + "\n" for q in queries)
    texts = {
        "bio-abstracts": articles.texts,
        "bio-paragraphs": paragraphs,
        "bio-tagged": tagged_text(open_clone("cambridgeltl/MTL-Bioinformatics-2016"), rng),
    }
    for name, rows in texts.items():
        with lzma.open(args.out / "text" / f"{name}.txt.xz", "wt", encoding="utf-8", preset=1) as file:
            file.writelines(row + "\n" for row in rows)
    print({name: len(rows) for name, rows in {**pairs, **texts}.items()}, "web queries", len(queries))


if __name__ == "__main__":
    main()
