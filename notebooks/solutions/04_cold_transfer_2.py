my_directory = vk.Directory({"billing": "+15550004486, +15550002222"})
fifth = await ring_and_transfer_to("billing", "billing", my_directory)
