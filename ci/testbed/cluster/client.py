"""Asks the cluster from outside, as an operator with the kubeconfig that `bake kubeconfig` wrote."""

import base64
import http.client
import json
import os
import re
import ssl
import tempfile


class Kubeconfig:
    """Server, CA and client certificate of a kubeconfig."""

    def __init__(self, text):
        field = lambda name: re.search(rf"^\s*-?\s*{name}:\s*[\"']?([^\s\"']+)", text, re.M)[1]
        self.host, port = re.fullmatch(r"https://([^:/]+):(\d+)/?", field("server")).groups()
        self.port = int(port)
        decoded = lambda name: base64.b64decode(field(name))
        self.context = ssl.create_default_context(cadata=decoded("certificate-authority-data").decode())
        with tempfile.NamedTemporaryFile(dir=os.environ.get("ARENA")) as file:
            file.write(decoded("client-certificate-data") + b"\n" + decoded("client-key-data"))
            file.flush()
            self.context.load_cert_chain(file.name)

    def request(self, method, path, host=None, port=None, timeout=3, body=None):
        """(status, text); raises OSError or HTTPException where nobody answers."""
        host, port = host or self.host, port or self.port
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self.context)
        try:
            connection.request(method, path, body=body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(errors="replace")
        finally:
            connection.close()

    def get(self, path, **options):
        """As `request`; status 0 and the reason where nobody answers."""
        try:
            return self.request("GET", path, **options)
        except (OSError, http.client.HTTPException) as error:
            return 0, f"{type(error).__name__}: {error}"

    def nodes(self):
        """Names of the Ready nodes, and of the others; None where the API does not say."""
        status, text = self.get("/api/v1/nodes")
        if status != 200:
            return None
        ready, rest = set(), set()
        for item in json.loads(text).get("items", []):
            conditions = item.get("status", {}).get("conditions", [])
            good = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            (ready if good else rest).add(item["metadata"]["name"])
        return ready, rest
