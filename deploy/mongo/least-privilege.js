// Makes the one MongoDB account that claude-analytics needs: it reads one collection, and nothing else.
//
//     mongosh "mongodb://<admin>@<host>/admin" deploy/mongo/least-privilege.js
//
// Asks for the new account's password. Running it again brings the role up to date and leaves the account
// alone. If MONGO_DB or MONGO_COLLECTION is another, change the names in least-privilege.json first.

const { readFileSync } = require("fs");
const { join } = require("path");

const { role, user } = JSON.parse(readFileSync(join(__dirname, "least-privilege.json"), "utf8"));
const admin = db.getSiblingDB("admin");
const { createRole: roleName, ...granted } = role;
const userName = user.createUser;

if (admin.getRole(roleName)) {
  admin.runCommand({ updateRole: roleName, ...granted });
  print(`role ${roleName}: brought up to date`);
} else {
  admin.runCommand(role);
  print(`role ${roleName}: made`);
}
if (admin.getUser(userName)) {
  print(`user ${userName}: is there already, left alone`);
} else {
  const pwd = passwordPrompt();
  admin.runCommand({ ...user, pwd });
  print(`user ${userName}: made; MONGO_URI=mongodb://${userName}:<password>@<host>/?authSource=admin`);
}
