wanted = "sales"
second = None if wanted is ... else await ring_and_ask_for(wanted)
