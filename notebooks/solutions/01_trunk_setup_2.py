with_rule = len(ringing.find("180", sender="livekit-sip"))
without_rule = len(unmatched.find("180", sender="livekit-sip"))
