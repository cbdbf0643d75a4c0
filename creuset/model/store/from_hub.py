"""Models of the Hugging Face hub, by its own library: which hub, account and proxy are that library's settings.

Which files of a repository are fetched is said in `needed`.
"""

import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.store.licence import Terms, terms_of
from creuset.model.store.needed import WORDS, matching, needed
from creuset.model.store.plan import INCOMPLETE, Plan, Remote, Show, refuse_other_content
from creuset.model.store.wanted import Wanted

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo


class Hub:
    """The hub, as the user's settings of huggingface_hub say; `endpoint` is for tests."""

    def __init__(self, *, endpoint: str | None = None, version: str = "") -> None:
        from huggingface_hub import HfApi

        self._api = HfApi(endpoint=endpoint, library_name="creuset", library_version=version or None)

    def plan(self, wanted: Wanted) -> Plan:
        """What a pull of `wanted` fetches. Errors name the repository, the revision or the file that is not there."""
        with told(wanted, self._api.endpoint):
            info = self._api.model_info(wanted.repository, revision=wanted.revision or None, files_metadata=True)
        published = {
            one.rfilename: Remote(
                name=one.rfilename,
                bytes=int(one.size or 0),
                sha256=str(one.lfs.sha256) if one.lfs else "",
                git="" if one.lfs else str(one.blob_id or ""),
            )
            for one in info.siblings or ()
        }
        files = tuple(published[name] for name in needed(sorted(published), wanted))
        size = sum(one.bytes for one in files)
        commit, address = str(info.sha), without_account(self._api.endpoint)
        return Plan(
            wanted=wanted,
            source="hub",
            where=f"{wanted.repository} at {commit[:12]} on {address}",
            licence=_licence(info, wanted, f"{address}/{wanted.repository}/blob/{commit}", published),
            files=files,
            download_bytes=size,
            room_bytes=size,
            facts={
                "from": "hub",
                "hub": address,
                "repository": wanted.repository,
                "revision": wanted.revision or "main",
                "commit": commit,
                "languages": _languages(info, wanted),
            },
        )

    def fetch(self, plan: Plan, names: list[str], folder: Path, show: Show) -> None:
        """Fetch files of the plan into `folder`: what is whole there stays, what was begun goes on."""
        here = sum(one.bytes for one in plan.files if (folder / one.name).is_file())
        for one in (one for one in plan.files if one.name in names and not (folder / one.name).is_file()):
            begun = folder / INCOMPLETE / one.key
            begun.parent.mkdir(exist_ok=True)
            with told(plan.wanted, self._api.endpoint, one.name):
                if not self._from_cache(plan, one, begun):
                    self._download(plan, one, begun, lambda size, name=one.name, done=here: show(
                        name, min(done + size, plan.download_bytes - 1), plan.download_bytes
                    ))  # fmt: skip
            refuse_other_content(begun, one, plan.where)
            (folder / one.name).parent.mkdir(parents=True, exist_ok=True)
            begun.rename(folder / one.name)
            here += one.bytes
            show(one.name, here, plan.download_bytes)

    def _from_cache(self, plan: Plan, remote: Remote, begun: Path) -> bool:
        """Copied from the library's cache, where another program of this user fetched it before."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(plan.wanted.repository, remote.name, revision=plan.facts["commit"])
        if not isinstance(found, str) or Path(found).stat().st_size != remote.bytes:
            return False
        shutil.copyfile(found, begun)
        return True

    def _download(self, plan: Plan, remote: Remote, begun: Path, on_bytes: Any) -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        begun.touch()
        if begun.stat().st_size > remote.bytes:
            begun.write_bytes(b"")
        headers = build_hf_headers(library_name="creuset")
        url = hf_hub_url(
            plan.wanted.repository, remote.name, revision=plan.facts["commit"], endpoint=self._api.endpoint
        )
        place = get_hf_file_metadata(url, headers=headers).location
        if urlsplit(place).netloc != urlsplit(url).netloc:  # the account's token is for the hub alone
            headers.pop("authorization", None)
        with begun.open("r+b") as stream, without_signatures():
            size = stream.seek(0, 2)
            http_get(
                place,
                stream,
                resume_size=size,
                headers=headers,
                expected_size=remote.bytes,
                displayed_filename=remote.name,
                tqdm_class=counting(on_bytes),
            )


def _licence(info: "ModelInfo", wanted: Wanted, page: str, names: Iterable[str]) -> Terms:
    """What the repository's card says, with what the catalogue adds to it. `page`: where its files can be read."""
    card = _card(info)
    entry = wanted.entry
    id = card.get("license") or (entry.licence if entry else "")
    id = id[0] if isinstance(id, list) and id else id
    name = str(card.get("license_name") or "")
    texts = matching(sorted(names), WORDS[:1])
    link = str(card.get("license_link") or (texts[0] if texts else ""))
    return terms_of(
        name if id == "other" and name else str(id or ""),
        title=name,
        link=link if not link or "://" in link else f"{page}/{link}",
        limits=entry.limits if entry else "",
        gated=bool(info.gated),
    )


def _card(info: "ModelInfo") -> dict[str, Any]:
    """The front matter of the repository's card."""
    return dict(info.card_data.to_dict()) if info.card_data else {}  # type: ignore[no-untyped-call]


def _languages(info: "ModelInfo", wanted: Wanted) -> list[str]:
    if wanted.entry and wanted.entry.languages:
        return list(wanted.entry.languages)
    found = _card(info).get("language")
    named = [str(one).lower() for one in (found if isinstance(found, list) else [found])]
    return ["mul" if one == "multilingual" else one for one in named if re.fullmatch(r"[a-z]{2,3}|multilingual", one)]


def without_account(url: str) -> str:
    """An address without the user and password that may stand in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class _NoSignature(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = re.sub(r"(https?://[^\s?]+)\?\S*", r"\1", record.getMessage()), ()
        return True


@contextmanager
def without_signatures() -> Iterator[None]:
    """The library tells the address of what broke off. Its query opens the file to everybody, and is left out."""
    logger, cut = logging.getLogger("huggingface_hub.file_download"), _NoSignature()
    logger.addFilter(cut)
    try:
        yield
    finally:
        logger.removeFilter(cut)


def counting(on_bytes: Any) -> Any:
    """A progress bar for the library that draws nothing and tells how many bytes of a file are here."""
    from huggingface_hub.utils.tqdm import tqdm

    class Counting(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.bytes = int(options.get("initial") or 0)
            super().__init__(*args, **(options | {"disable": True}))  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self.bytes += int(n or 0)
            on_bytes(self.bytes)
            return None

    return Counting


@contextmanager
def told(wanted: Wanted, endpoint: str, file: str = "") -> Iterator[None]:
    """Errors of the library as ours. They name no token, and no address but that of the hub."""
    from huggingface_hub import errors

    what, address = f"`{wanted.repository}`", without_account(endpoint)
    try:
        yield
    except errors.GatedRepoError as error:
        raise ArtifactError(
            f"{what} is given only to accounts that accepted its terms, and this one has not, or nobody is logged in",
            hint=f"accept them at {address}/{wanted.repository}, then set HF_TOKEN or run `hf auth login`",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ArtifactError(f"{what} has no revision `{wanted.revision or 'main'}`") from error
    except errors.RepositoryNotFoundError as error:
        raise ArtifactError(
            f"{what} is not on {address}, or this account may not see it",
            hint="check the spelling; for a private one set HF_TOKEN or run `hf auth login`",
        ) from error
    except errors.EntryNotFoundError as error:
        raise ArtifactError(f"{what} no longer has `{file}`", hint="pull again") from error
    except errors.OfflineModeIsEnabled as error:
        raise ConfigError(
            "huggingface_hub is set to be offline (HF_HUB_OFFLINE), so that nothing can be pulled",
            hint="what was pulled before works as it is: `creuset list`",
        ) from error
    except errors.HFValidationError as error:
        raise ArtifactError(f"{what} is not the name of a repository") from error
    except errors.HfHubHTTPError as error:
        raise ArtifactError(
            f"{address} answered {error.response.status_code} for {_named(what, file)}", hint="try again later"
        ) from error
    except (ArtifactError, ConfigError, OSError):
        raise
    except Exception as error:  # of the HTTP client, which is not ours to choose
        if type(error).__module__.split(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2", "requests"):
            raise
        raise ArtifactError(
            f"{address} cannot be reached, or broke off, for {_named(what, file)} ({type(error).__name__})",
            hint="the same command goes on where it stopped; what was pulled before works without a network. Another "
            "hub is set by HF_ENDPOINT, a proxy by HTTPS_PROXY",
        ) from error


def _named(what: str, file: str) -> str:
    return f"`{file}` of {what}" if file else what
