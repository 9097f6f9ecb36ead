agent_name = rules[0].room_config.agents[0].agent_name
