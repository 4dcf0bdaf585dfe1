"""What each tool is asked and what it answers, in the shapes of the real logs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sample_logs.screenplay import Step


@dataclass(frozen=True)
class Place:
    """Where a conversation works."""

    cwd: str

    @property
    def separator(self) -> str:
        """What parts a path's folders here."""
        return "\\" if ":" in self.cwd else "/"

    def path(self, relative: str) -> str:
        """Make a path absolute, in the manner of the system."""
        if relative.startswith("/") or ":" in relative:
            return relative
        return self.cwd + self.separator + relative.replace("/", self.separator)


Made = tuple[dict[str, Any], Any, Any, tuple[float, float]]


def _hunks(step: Step) -> list[dict[str, Any]]:
    hunks: list[dict[str, Any]] = []
    for line in step.details:
        if line.startswith("@@ "):
            hunks.append({"oldStart": int(line[3:]), "lines": []})
        elif hunks and line[:1] in {"+", "-", " "}:
            hunks[-1]["lines"].append(line)
    shift = 0
    made = []
    for hunk in hunks:
        old = sum(line[0] != "+" for line in hunk["lines"])
        new = sum(line[0] != "-" for line in hunk["lines"])
        start = hunk["oldStart"]
        made.append(
            {
                "oldStart": start,
                "oldLines": old,
                "newStart": start + shift,
                "newLines": new,
                "lines": hunk["lines"],
            }
        )
        shift += new - old
    return made


def _side(hunk: dict[str, Any], without: str) -> str:
    return "\n".join(line[1:] for line in hunk["lines"] if line[0] != without)


def _edit(step: Step, argument: str, _: str, place: Place) -> Made:
    path, hunks = place.path(argument), _hunks(step)
    old, new = "\n".join(_side(h, "+") for h in hunks), "\n".join(_side(h, "-") for h in hunks)
    asked = {"replace_all": False, "file_path": path, "old_string": old, "new_string": new}
    result = {
        "filePath": path,
        "oldString": old,
        "newString": new,
        "originalFile": None,
        "structuredPatch": hunks,
        "userModified": False,
        "replaceAll": False,
    }
    return asked, f"The file {path} has been updated successfully.", result, (0.01, 0.06)


def _multi_edit(step: Step, argument: str, _: str, place: Place) -> Made:
    path, hunks = place.path(argument), _hunks(step)
    edits = [{"old_string": _side(h, "+"), "new_string": _side(h, "-")} for h in hunks]
    result = {
        "filePath": path,
        "edits": [{**edit, "replace_all": False} for edit in edits],
        "originalFileContents": "",
        "structuredPatch": hunks,
        "userModified": False,
    }
    return {"file_path": path, "edits": edits}, f"Applied {len(edits)} edits to {path}", result, (0.02, 0.08)


def _write(step: Step, argument: str, _: str, place: Place) -> Made:
    path, hunks = place.path(argument), _hunks(step)
    lines = (
        _side(hunks[0], "-").split("\n")
        if hunks
        else [line[1:] for line in step.details if line.startswith("+")]
    )
    content = "\n".join(lines) + "\n"
    result = {
        "type": "update" if hunks else "create",
        "filePath": path,
        "content": content,
        "structuredPatch": hunks,
        "originalFile": _side(hunks[0], "+") + "\n" if hunks else None,
    }
    done = "has been updated successfully." if hunks else "File created successfully at: "
    said = f"The file {path} {done}" if hunks else done + path
    return {"file_path": path, "content": content}, said, result, (0.01, 0.05)


def _notebook(step: Step, argument: str, _: str, place: Place) -> Made:
    path, cell = place.path(argument), step.one("|", "cell-1")
    source = "\n".join(line[1:] for line in step.details if line.startswith("+"))
    asked = {"notebook_path": path, "cell_id": cell, "new_source": source, "edit_mode": "replace"}
    result = {
        "new_source": source,
        "cell_id": cell,
        "cell_type": "code",
        "language": "python",
        "edit_mode": "replace",
        "error": "",
    }
    return asked, f"Updated cell {cell} with {source}", result, (0.02, 0.08)


def _read(_: Step, argument: str, answer: str, place: Place) -> Made:
    path, lines = place.path(argument), answer.split("\n")
    numbered = "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, start=1))
    file = {
        "filePath": path,
        "content": answer,
        "numLines": len(lines),
        "startLine": 1,
        "totalLines": len(lines),
    }
    return {"file_path": path}, numbered, {"type": "text", "file": file}, (0.004, 0.04)


def _bash(step: Step, argument: str, answer: str, _: Place) -> Made:
    asked: dict[str, Any] = {"command": argument}
    if step.has("|"):
        asked["description"] = step.one("|")
    result: dict[str, Any] = {"stdout": answer, "stderr": "", "interrupted": False, "isImage": False}
    if step.has("&"):
        asked["run_in_background"] = True
        task = step.one("&")
        return (
            asked,
            f"Command running in background with ID: {task}.",
            {**result, "stdout": "", "backgroundTaskId": task},
            (0.05, 0.2),
        )
    if step.has("g"):
        result["gitOperation"] = json.loads(step.one("g"))
    return asked, answer, result, (0.3, 6)


def _grep(_: Step, argument: str, answer: str, place: Place) -> Made:
    pattern, _found, where = argument.partition(" in ")
    files = answer.split("\n") if answer else []
    content = f"Found {len(files)} files\n{answer}" if files else "No files found"
    result = {"mode": "files_with_matches", "filenames": files, "numFiles": len(files)}
    asked = {"pattern": pattern, "path": place.path(where or ".")}
    return asked, content, result, (0.02, 0.2)


def _glob(_: Step, argument: str, answer: str, __: Place) -> Made:
    files = answer.split("\n") if answer else []
    result = {"filenames": files, "durationMs": 9, "numFiles": len(files), "truncated": False}
    return {"pattern": argument}, answer or "No files found", result, (0.01, 0.05)


def _list(_: Step, argument: str, answer: str, place: Place) -> Made:
    return {"path": place.path(argument)}, answer, answer, (0.01, 0.03)


def _agent(step: Step, argument: str, _: str, __: Place) -> Made:
    kind, _found, description = argument.partition(" | ")
    asked = {"description": description, "subagent_type": kind, "prompt": "\n".join(step.marked("q"))}
    return asked, None, None, (0.2, 0.6)


def _web_fetch(step: Step, argument: str, answer: str, _: Place) -> Made:
    result = {
        "bytes": 4 * len(answer) + 9000,
        "code": 200,
        "codeText": "OK",
        "result": answer,
        "url": argument,
    }
    return {"url": argument, "prompt": step.one("|")}, answer, result, (1.5, 6)


def _web_search(_: Step, argument: str, answer: str, __: Place) -> Made:
    pages = [dict(zip(("title", "url"), line.split(" <"), strict=True)) for line in answer.split("\n")]
    pages = [{"title": page["title"], "url": page["url"].rstrip(">")} for page in pages]
    result = {"query": argument, "results": [{"content": pages}], "durationSeconds": 3.25}
    return {"query": argument}, f'Web search results for query: "{argument}"\n\n{answer}', result, (2, 7)


def _skill(_: Step, argument: str, __: str, ___: Place) -> Made:
    return (
        {"skill": argument},
        f"Launching skill: {argument}",
        {"success": True, "commandName": argument},
        (0.01, 0.05),
    )


def _todos(_: Step, argument: str, __: str, ___: Place) -> Made:
    marks = {"x": "completed", ">": "in_progress", "o": "pending"}
    todos = [
        {"content": item[2:], "status": marks[item[0]], "activeForm": item[2:]}
        for item in argument.split("; ")
    ]
    return (
        {"todos": todos},
        "Todos have been modified successfully.",
        {"oldTodos": [], "newTodos": todos},
        (0.005, 0.02),
    )


def _task_create(_: Step, argument: str, __: str, ___: Place) -> Made:
    number, _found, subject = argument.partition(" ")
    said = f"Task #{number} created successfully: {subject}"
    return {"subject": subject}, said, {"task": {"id": number, "subject": subject}}, (0.005, 0.02)


def _task_update(_: Step, argument: str, __: str, ___: Place) -> Made:
    number, _found, status = argument.partition(" ")
    result = {"success": True, "taskId": number, "updatedFields": ["status"]}
    return {"taskId": number, "status": status}, f"Updated task #{number} status", result, (0.005, 0.02)


def _ask(step: Step, argument: str, _: str, __: Place) -> Made:
    header, question, *options = argument.split(" | ")
    questions = [
        {
            "question": question,
            "header": header,
            "options": [{"label": option, "description": option} for option in options],
            "multiSelect": False,
        }
    ]
    choice = step.one("a", options[0])
    said = f'User has answered your questions: "{question}"="{choice}". You can now continue.'
    result = {"questions": questions, "answers": {question: choice}}
    return {"questions": questions}, said, result, (12, 90)


def _exit_plan(step: Step, _: str, __: str, ___: Place) -> Made:
    plan = "\n".join(step.marked("="))
    said = "User has approved your plan. You can now start coding."
    return {"plan": plan}, said, {"plan": plan, "isAgent": False}, (20, 150)


def _shell_output(_: Step, argument: str, answer: str, __: Place) -> Made:
    result = {"shellId": argument, "status": "running", "exitCode": None, "stdout": answer, "stderr": ""}
    said = f"<status>running</status>\n\n<stdout>\n{answer}\n</stdout>"
    return {"bash_id": argument}, said, result, (0.01, 0.05)


def _shell_kill(_: Step, argument: str, __: str, ___: Place) -> Made:
    said = f"Successfully killed shell: {argument}"
    return {"shell_id": argument}, said, {"message": said, "shell_id": argument}, (0.02, 0.1)


def _mcp(_: Step, argument: str, answer: str, __: Place) -> Made:
    content = [{"type": "text", "text": answer}]
    return json.loads(argument or "{}"), content, content, (0.4, 3)


def _json(_: Step, argument: str, answer: str, __: Place) -> Made:
    return json.loads(argument or "{}"), answer, {"result": answer}, (0.1, 1)


def answer_of(name: str) -> Callable[[Step, str, str, Place], Made]:
    """Return the function that makes question and answer of a tool."""
    return _TOOLS.get(name, _mcp if name.startswith("mcp__") else _json)


_TOOLS: dict[str, Callable[[Step, str, str, Place], Made]] = {
    "Agent": _agent,
    "AskUserQuestion": _ask,
    "Bash": _bash,
    "BashOutput": _shell_output,
    "Edit": _edit,
    "ExitPlanMode": _exit_plan,
    "Glob": _glob,
    "Grep": _grep,
    "KillShell": _shell_kill,
    "LS": _list,
    "MultiEdit": _multi_edit,
    "NotebookEdit": _notebook,
    "Read": _read,
    "Skill": _skill,
    "Task": _agent,
    "TaskCreate": _task_create,
    "TaskUpdate": _task_update,
    "TodoWrite": _todos,
    "WebFetch": _web_fetch,
    "WebSearch": _web_search,
    "Write": _write,
}
