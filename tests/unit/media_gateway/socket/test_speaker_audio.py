"""Frames as ACS may send them, in each form that its documentation leaves open, become one stream of audio."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from bridge_common.wire.entries import AudioFrame
from lab.acs.caller_line import CallerLine
from lab.acs.forms import CallForms
from lab.acs.speaker_frames import SpeakerFrames
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData
from media_gateway.core.speakers import Speakers
from media_gateway.socket.speaker_audio import SpeakerAudio
from media_gateway.socket.uplink_encoder import UplinkEncoder
from media_gateway.ticker import BEAT_S, Ticked, Ticker
from tests.unit.media_gateway.socket.test_uplink_encoder import RecordingOutlet
