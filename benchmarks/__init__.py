"""What each implementation costs here, on layers of published networks; nothing is timed before it is right.

``suite`` holds the layers, ``case`` what is called and checked, ``oracle`` the exact values, ``device`` where it runs,
``clock`` how time is taken, ``run`` puts them together, ``row`` and ``table`` hold and show the results.
"""
