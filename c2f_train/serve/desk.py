"""Answers uploads one after another; a few may wait, the others are told to come back."""

from __future__ import annotations

import asyncio
import io
import warnings
from concurrent.futures import Future, ThreadPoolExecutor

from PIL import Image
from starlette.requests import Request

from c2f_data.errors import C2FError
from c2f_train.predict import Failure, Prediction, Predictor
from c2f_train.serve.guard import RefusedError, drain, read_upload
from c2f_train.serve.limits import FORMATS, MEGABYTE, Limits

# The name of an upload in answers: what the client calls its file is never asked.
NAME = "upload"
KINDS = "JPEG, PNG, WebP, GIF or BMP"


class Desk:
    """One thread with the network; images are decoded there, too, so one is in memory at a time.

    Attributes:
        predictor: what answers.
        limits: how much is taken.
    """

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor = predictor
        self.limits = limits
        self._thread = ThreadPoolExecutor(1, "c2f-answers")
        self._taken = 0

    async def answer(self, request: Request, resolution: int | None, top_k: int) -> Prediction:
        """Read an upload and answer it. Raises RefusedError with the reason."""
        if self._taken > self.limits.waiting:
            await drain(request)
            raise RefusedError(
                503, "too many uploads at once", "Try again in a second; they are answered in turn."
            )
        self._taken += 1
        job: Future[Prediction] | None = None
        try:
            data = await read_upload(request, self.limits)
            job = self._thread.submit(self._predict, data, resolution, top_k)
            del data
        finally:
            if job is None:
                self._taken -= 1
        loop = asyncio.get_running_loop()
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        return await self._finished(request, job)

    def _leave(self) -> None:
        self._taken -= 1

    async def _finished(self, request: Request, job: Future[Prediction]) -> Prediction:
        """Wait for an answer, for its time, or for the client to leave."""
        answer = asyncio.wrap_future(job)
        gone = asyncio.ensure_future(_gone(request))
        await asyncio.wait(
            (answer, gone),
            timeout=self.limits.answer_seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        gone.cancel()
        if answer.done():
            return answer.result()
        answer.cancel()  # and with it the job, unless it has begun
        seconds = f"{self.limits.answer_seconds:g} s"
        raise RefusedError(503, f"no answer within {seconds}", "Try again when less is to be done.")

    def _predict(self, data: bytes, resolution: int | None, top_k: int) -> Prediction:
        check_picture(data, self.limits)
        try:
            stream = self.predictor.stream([data], resolution=resolution, top_k=top_k, workers=1)
            found = next(stream)
        except C2FError as error:
            raise RefusedError(422, error.message, error.hint) from error
        except MemoryError as error:
            raise RefusedError(503, "out of memory", "Send a smaller image.") from error
        if isinstance(found, Failure):
            raise RefusedError(422, _without_name(found.error), f"Send a whole {KINDS} file.")
        return found


async def _gone(request: Request) -> None:
    """Return when the client has closed its connection."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.25)


def check_picture(data: bytes, limits: Limits) -> None:
    """Look at the header alone, before anything is decoded. Raises RefusedError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(FORMATS)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise _too_many(limits, "its header claims too many pixels") from error
    except Exception as error:  # a header is whatever the client likes
        raise RefusedError(415, "not an image that is taken here", f"Send {KINDS}.") from error
    if width * height > limits.pixels:
        raise _too_many(limits, f"{width} x {height} pixels")


def _too_many(limits: Limits, what: str) -> RefusedError:
    most = f"{limits.pixels / MEGABYTE:g} million pixels"
    return RefusedError(413, what, f"Send an image of at most {most}.")


def _without_name(error: str) -> str:
    """``image 1: damaged`` to ``damaged``."""
    return error.partition(": ")[2] or error
