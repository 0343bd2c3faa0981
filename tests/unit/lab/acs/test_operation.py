from __future__ import annotations

import pytest

from lab.acs.acs_errors import InvalidArgumentError
from lab.acs.operation import decode_media_options, decode_url

OPTIONS = {
    "transportType": "websocket",
    "audioChannelType": "mixed",
    "transportUrl": "ws://127.0.0.1:9/ws?k=v",
    "contentType": "audio",
    "startMediaStreaming": True,
    "enableBidirectional": True,
    "audioFormat": "pcm24KMono",
    "enableDtmfTones": True,
}


def test_media_options_as_the_python_sdk_sends_them() -> None:
    options = decode_media_options({"mediaStreamingOptions": OPTIONS})
    assert options is not None
    assert (options.transport_url, options.rate_hz) == ("ws://127.0.0.1:9/ws?k=v", 24_000)
    assert (options.start, options.bidirectional, options.unmixed, options.dtmf) == (True, True, False, True)
    assert decode_media_options({}) is None


def test_enum_values_are_understood_in_any_case_and_defaults_are_those_of_acs() -> None:
    shouted = {key: value.upper() if isinstance(value, str) else value for key, value in OPTIONS.items()}
    shouted |= {"transportUrl": OPTIONS["transportUrl"], "audioChannelType": "Unmixed"}
    options = decode_media_options({"mediaStreamingOptions": shouted})
    assert options is not None
    assert (options.rate_hz, options.unmixed) == (24_000, True)
    least = {key: OPTIONS[key] for key in ("transportType", "audioChannelType", "transportUrl", "contentType")}
    options = decode_media_options({"mediaStreamingOptions": least})
    assert options is not None
    assert (options.rate_hz, options.start, options.bidirectional, options.dtmf) == (16_000, False, False, False)


@pytest.mark.parametrize(
    "change",
    [
        {"transportType": "tcp"},
        {"contentType": None},
        {"audioChannelType": "stereo"},
        {"audioFormat": "mp3"},
        {"transportUrl": "https://x"},
        {"transportUrl": None},
    ],
)
def test_wrong_media_options_name_the_field(change: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(change))):
        decode_media_options({"mediaStreamingOptions": OPTIONS | change})
    with pytest.raises(InvalidArgumentError):
        decode_media_options({"mediaStreamingOptions": "ws"})


@pytest.mark.parametrize("url", ["", "x", "ftp://x", "http://", "http://[", 7, None])
def test_invalid_urls_are_refused(url: object) -> None:
    with pytest.raises(InvalidArgumentError, match="CallbackUri"):
        decode_url(url, "callbackUri", ("https", "http"))
