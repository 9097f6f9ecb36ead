"""The lab's speech server: Whisper's ears, Piper's voice and a keyword matcher, spoken to as OpenAI
and Deepgram are.

It stands in for ``/v1/chat/completions`` and ``/v1/audio/speech`` (OpenAI) and ``/v1/listen``
(Deepgram), so that the real LiveKit plugins work without an account, by their ``base_url`` alone.
"""
