"""How the information tree looks: `rows` and `facts` say what, `plain` and `pretty` say how. No I/O but the final print."""
