better = instructions + "\nWe are open Monday to Friday, nine to five."
answered = "" if better is ... else await ask("When are you open?", better, expect="open")
