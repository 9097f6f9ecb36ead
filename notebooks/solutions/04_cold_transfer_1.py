my_destination = "+15550001111"
fourth = None if my_destination is ... else await ring_and_transfer_to(my_destination, "sales")
