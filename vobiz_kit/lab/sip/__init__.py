"""The SIP endpoint and the RTP leg that the stand-in carrier and the handsets share."""
