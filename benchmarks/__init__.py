"""What each implementation costs here, on layers of published networks; nothing is timed before it is right.

``suite`` holds the layers, ``case`` what is called and checked, ``oracle`` the exact values, ``device`` where it runs,
``clock`` how time is taken, ``run`` puts them together, ``row``, ``table``, ``summary`` and ``verdict`` hold and show
the results. ``peer`` has the other libraries that are measured beside deepcore.

``network`` holds whole networks, ``learner`` what trains them and predicts with them; ``train``, ``predict`` and
``memory`` measure, ``race`` lets libraries take turns, ``network_table`` shows.
"""
