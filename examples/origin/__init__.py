"""A web server on loopback that answers for any host with images it draws: the internet of the demo and the tests.

```python
with in_thread(Origin(answers_for(Path("examples/site")))) as origin:
    run("imgcache", "sync", site, *origin.connect_to, env={"SSL_CERT_FILE": str(origin.ca_file)})
    assert origin.requests["https://images.example/a.jpg"] == 1
```
"""

from examples.origin.answers import Answer, Answers, normal, read_answers
from examples.origin.server import Origin, in_thread
from examples.origin.site import answers_for

__all__ = ["Answer", "Answers", "Origin", "answers_for", "in_thread", "normal", "read_answers"]
