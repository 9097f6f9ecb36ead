status = 603
