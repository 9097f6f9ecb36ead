"""The stand-in Vobiz: SIP B2BUA and registrar, number plan, REFER, CDRs, trace, REST."""
