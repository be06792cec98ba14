"""Projects of the corpora that don't build or start whoever builds them, and why: they are listed, not counted."""

_WERKZEUG = "pins Flask 2.2 and not Werkzeug, whose present release Flask 2.2 can't import"
_PARTS = "holds some files of a repository, and its module needs those that are left out"
_UNLOCKED = "names versions without a lock file, and what they mean today doesn't go together"

MISTAKES = {
    "alizer/angularjs": _UNLOCKED,
    "alizer/beego": _PARTS,
    "alizer/double-components:frontend": _PARTS,
    "alizer/echo": _PARTS,
    "alizer/expressjs": _PARTS,
    "alizer/expressjs-env-logical-or": "prints a variable that it never declares, and ends by that",
    "alizer/expressjs-variable": "answers nothing but errors of its own: it logs with what it never set up",
    "alizer/flask": _WERKZEUG,
    "alizer/flask-port-assigned-variable": _WERKZEUG,
    "alizer/flask-port-string-value": _WERKZEUG,
    "alizer/golang-mux": "listens on 127.0.0.1 alone, as the analysis warns",
    "alizer/nextjs-app": _PARTS,
    "alizer/nuxtjs-app": _UNLOCKED,
    "alizer/quarkus": "wants a data source and says of which database nowhere, which Quarkus refuses to build",
    "alizer/reactjs": _PARTS,
    "alizer/reactjs-script": _PARTS,
    "alizer/spring": "has a parent that was never published",
    "alizer/spring-cloud": "says nothing of the configuration server that it depends on, so it refuses to start",
    "alizer/svelte-app": _PARTS,
    "alizer/vertx-port-server": _PARTS,
    "alizer/vue-app": _PARTS,
    "alizer/weblogic-app": "needs a plugin that is in no public repository",
    "nixpacks/node-pnpm-monorepo": "locks packages of the registry that are called like its own, and has no others",
    "railpack/python-uv": "ends unless PATH begins with the folder that Railpack's image has there",
}
